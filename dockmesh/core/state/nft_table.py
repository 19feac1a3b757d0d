"""The text of dockmesh's nft table, as nft lists it: written for a host, and parsed from its listing."""

import re
from collections.abc import Iterable, Iterator

from dockmesh.core.addresses import Family, Network, memoized, parse_network, short_text, sort_key
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.resources import NftTable, PeerSet, nft_family_name

# The names of priorities, as nft lists them.
_PRIORITIES = {"raw - 10;": "-310;", "filter - 1;": "-1;", "srcnat - 1;": "99;"}
_PRIORITY = re.compile(r"(?<= priority )(?:raw - 10|filter - 1|srcnat - 1);")


def table_text(table: NftTable) -> str:
    """Return the table for `nft -f`, in the syntax in which nft lists it."""
    sets = (line for each in table.sets for line in _set_lines(each, table.family))
    inner = (f"\t{line}" if _is_edge(line) else f"\t\t{line}" for line in (*sets, *table.chains))
    return "\n".join((f"table {nft_family_name(table.family)} dockmesh {{", *inner, "}", ""))


def parse_table(lines: Iterable[str], family: Family) -> NftTable:
    """Parse the listing of the table."""
    stripped = [line for line in map(str.strip, lines) if line]
    sets: list[PeerSet] = []
    chains: list[str] = []
    inner = iter(stripped[1:-1])
    for line in inner:
        words = line.split()
        if words[0] == "set" and words[2:] == ["{"]:
            found = _parse_set(words[1], inner, family)
            if isinstance(found, PeerSet):
                sets.append(found)
            else:
                chains += [line, *found]
        else:
            chains.append(_PRIORITY.sub(lambda name: _PRIORITIES[name[0]], line))
    return NftTable(tuple(sets), tuple(chains), family)


def _set_lines(each: PeerSet, family: Family) -> tuple[str, ...]:
    elements = SharedSequence.of(each.networks).written("nft", lambda network: f", {short_text(network)}")
    return (
        f"set {each.name} {{",
        f"type ipv{family}_addr",
        "flags interval",
        f"elements = {{ {elements.removeprefix(', ')} }}",
        "}",
    )


def _is_edge(line: str) -> bool:
    return line == "}" or (line.endswith(" {") and line.startswith(("set ", "chain ")))


def _parse_set(name: str, inner: Iterator[str], family: Family) -> PeerSet | list[str]:
    """The set whose block begins; its lines if dockmesh does not write such a set."""
    lines: list[str] = []
    depth = 1
    for line in inner:
        lines.append(line)
        depth += line.count("{") - line.count("}")
        if depth == 0:
            break
    text = "\n".join(lines[2:-1])
    plain = lines[:2] == [f"type ipv{family}_addr", "flags interval"] and lines[-1:] == ["}"]
    if not plain or not text.startswith("elements = {") or not text.endswith("}") or "{" in text[12:]:
        return lines
    try:
        elements = sorted(_element(each) for each in text[12:-1].split(","))
    except ValueError:
        # For example a range, or an element with a comment.
        return lines
    return PeerSet(name, tuple(network for _order, network in elements))


@memoized
def _element(text: str) -> tuple[tuple[int, int, int], Network]:
    """The sort key and the network of an element of a set."""
    found = parse_network(text.strip())
    return sort_key(found), found
