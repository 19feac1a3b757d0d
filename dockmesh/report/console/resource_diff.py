"""The new and the removed lines of a resource."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff

from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import AcceptRules, File, NftTable, PeerSet, Resource, Unit
from dockmesh.report.resource_text import resource_text


def has_lines(change: Change) -> bool:
    """Whether `diff_lines` has a line for each new or removed line of the resource."""
    return isinstance(change.resource, File | AcceptRules | NftTable | Unit)


def diff_lines(change: Change) -> Iterator[str]:
    """Yield new lines with `+` and removed lines with `-`, with context for files and units.

    Resources without lines of their own yield one line.
    """
    match change.before, change.after:
        case NftTable() as before, NftTable() as after:
            yield from _elements(before, after)
            yield from _signed(tuple(_chain_rules(before)), tuple(_chain_rules(after)))
        case before, after if isinstance(change.resource, AcceptRules):
            yield from _signed(_rules(before), _rules(after))
        case _ if has_lines(change):
            yield from _lines(change)
        case before, after if change.action == "change":
            yield f"{resource_text(before)} -> {resource_text(after)}"
        case _:
            yield resource_text(change.resource) or ""


def _elements(before: NftTable, after: NftTable) -> Iterator[str]:
    """Yield the networks of the sets, which have a line each."""
    old, new = (frozenset(_names(side.sets)) for side in (before, after))
    yield from (f"- {each}" for each in _names(before.sets) if each not in new)
    yield from (f"+ {each}" for each in _names(after.sets) if each not in old)


def _chain_rules(table: NftTable) -> Iterator[str]:
    """Yield each rule with its chain, since chains have equal rules."""
    chain = ""
    for line in table.chains:
        if line.endswith(" {"):
            chain = line.split()[1]
        elif line != "}":
            yield f"{chain}: {line}"


def _names(sets: Sequence[PeerSet]) -> Iterator[str]:
    return (f"{each.name} {network}" for each in sets for network in each.networks)


def _rules(side: Resource | None) -> Sequence[str]:
    return (resource_text(side) or "").splitlines()


def _signed(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Yield rules without context, since each is complete. A space separates the sign from the rule's first option."""
    yield from (f"- {rule}" for rule in old if rule not in new)
    yield from (f"+ {rule}" for rule in new if rule not in old)
    if sorted(old) == sorted(new) and old != new:
        yield "  the same rules in another order"


def _lines(change: Change) -> Iterator[str]:
    before, after = ((resource_text(side) or "").splitlines() for side in (change.before, change.after))
    for line in list(unified_diff(before, after, lineterm="", n=1))[2:]:
        # A space separates the sign from the text. Lines with a position have no sign.
        yield line if line.startswith("@@") else f"{line[0]} {line[1:]}"
