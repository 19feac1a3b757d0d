"""The text of dockmesh's nft table, as nft lists it: written for a host, and parsed from its listing."""

import re
from collections.abc import Callable, Iterable, Iterator

from dockmesh.core.addresses import Family, Network, parse_network, short_text, sort_key
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.resources import NftTable, PeerSet, nft_family_name

# The names of priorities, as nft lists them.
_PRIORITIES = {"raw - 10;": "-310;", "filter - 1;": "-1;", "srcnat - 1;": "99;"}
# For a list of elements.
_ONE_PER_LINE = str.maketrans({",": "\n", " ": None, "\t": None, "\n": None})
_PRIORITY = re.compile(r"(?<= priority )(?:raw - 10|filter - 1|srcnat - 1);")


def table_text(table: NftTable) -> str:
    """Return the table for `nft -f`, in the syntax in which nft lists it."""
    sets = (line for each in table.sets for line in _set_lines(each, table.family))
    inner = (f"\t{line}" if _is_edge(line) else f"\t\t{line}" for line in (*sets, *table.chains))
    return "\n".join((f"table {nft_family_name(table.family)} dockmesh {{", *inner, "}", ""))


# Parses the elements of a set, one per line.
ElementParser = Callable[[str], SharedSequence[Network]]


def parse_table(lines: Iterable[str], family: Family, elements: ElementParser | None = None) -> NftTable:
    """Parse the listing of the table. `elements`: a parser that hosts share."""
    parse_elements = elements or _elements
    stripped = [line for line in map(str.strip, lines) if line]
    sets: list[PeerSet] = []
    chains: list[str] = []
    inner = iter(stripped[1:-1])
    for line in inner:
        words = line.split()
        if words[0] == "set" and words[2:] == ["{"]:
            found = _parse_set(words[1], inner, family, parse_elements)
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


def _parse_set(name: str, inner: Iterator[str], family: Family, parse_elements: ElementParser) -> PeerSet | list[str]:
    """The set whose block begins; its lines if dockmesh does not write such a set."""
    lines: list[str] = []
    depth = 1
    for line in inner:
        lines.append(line)
        # Most lines only have elements.
        if "{" in line or "}" in line:
            depth += line.count("{") - line.count("}")
            if depth == 0:
                break
    text = "\n".join(lines[2:-1])
    plain = lines[:2] == [f"type ipv{family}_addr", "flags interval"] and lines[-1:] == ["}"]
    if not plain or not text.startswith("elements = {") or not text.endswith("}") or "{" in text[12:]:
        return lines
    try:
        elements = parse_elements(text[12:-1].translate(_ONE_PER_LINE))
    except ValueError:
        # For example a range, or an element with a comment.
        return lines
    return PeerSet(name, elements.ordered("network", sort_key))


def _elements(text: str) -> SharedSequence[Network]:
    return SharedSequence.of(map(parse_network, text.split("\n")))
