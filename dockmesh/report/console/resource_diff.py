"""The new and the removed lines of a resource."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff

from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import Chain, File, Resource, SourceNat, Unit
from dockmesh.report.resource_text import resource_text


def has_lines(change: Change) -> bool:
    """Whether `diff_lines` has a line for each new or removed line of the resource."""
    return isinstance(change.resource, File | Chain | Unit) or any(map(_marks, (change.before, change.after)))


def diff_lines(change: Change) -> Iterator[str]:
    """Yield new lines with `+` and removed lines with `-`, with context for files and units.

    Resources without lines of their own yield one line.
    """
    match change.before, change.after:
        case before, after if isinstance(change.resource, Chain) or any(map(_marks, (before, after))):
            yield from _rules(before, after)
        case SourceNat() as before, SourceNat() as after if before.prefix == after.prefix:
            yield from _peers(before, after)
        case _ if has_lines(change):
            yield from _lines(change)
        case before, after if change.action == "change":
            yield f"{resource_text(before)} -> {resource_text(after)}"
        case _:
            yield resource_text(change.resource) or ""


def _peers(before: SourceNat, after: SourceNat) -> Iterator[str]:
    new = [str(peer) for peer in after.peers if peer not in before.peers]
    removed = [str(peer) for peer in before.peers if peer not in after.peers]
    parts = [f"also towards {', '.join(new)}"] * bool(new) + [f"no longer towards {', '.join(removed)}"] * bool(removed)
    yield f"{after.prefix} keeps its addresses {', '.join(parts)}"


def _marks(side: Resource | None) -> bool:
    return isinstance(side, SourceNat) and bool(side.marks)


def _rules(before: Resource | None, after: Resource | None) -> Iterator[str]:
    """Yield rules without context, since each is complete. A space separates the sign from the rule's first option."""
    old, new = _rule_lines(before), _rule_lines(after)
    yield from (f"- {rule}" for rule in old if rule not in new)
    yield from (f"+ {rule}" for rule in new if rule not in old)
    if set(old) == set(new) and old != new:
        yield "  the same rules in another order"


def _rule_lines(rules: Resource | None) -> Sequence[str]:
    return (resource_text(rules) or "").splitlines()


def _lines(change: Change) -> Iterator[str]:
    before, after = ((resource_text(side) or "").splitlines() for side in (change.before, change.after))
    for line in list(unified_diff(before, after, lineterm="", n=1))[2:]:
        # A space separates the sign from the text. Lines with a position have no sign.
        yield line if line.startswith("@@") else f"{line[0]} {line[1:]}"
