"""What of a resource is new, and what is gone."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff

from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import Chain, File, Resource, SourceNat, Unit
from dockmesh.report.resource_text import resource_text


def has_lines(change: Change) -> bool:
    """Whether the resource is a text of lines, and `difference` a line for each that is new or gone."""
    return isinstance(change.resource, File | Chain | Unit) or any(map(_marks, (change.before, change.after)))


def diff_lines(change: Change) -> Iterator[str]:
    """What is new behind a `+`, what is gone behind a `-`; of texts with the lines around it, else in one line."""
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
    gone = [str(peer) for peer in before.peers if peer not in after.peers]
    told = [f"also towards {', '.join(new)}"] * bool(new) + [f"no longer towards {', '.join(gone)}"] * bool(gone)
    yield f"{after.prefix} keeps its addresses {', '.join(told)}"


def _marks(side: Resource | None) -> bool:
    return isinstance(side, SourceNat) and bool(side.marks)


def _rules(before: Resource | None, after: Resource | None) -> Iterator[str]:
    """Without the rules around: a rule says what it does by itself. A blank keeps the sign from its first option."""
    had, has = _rule_lines(before), _rule_lines(after)
    yield from (f"- {rule}" for rule in had if rule not in has)
    yield from (f"+ {rule}" for rule in has if rule not in had)
    if set(had) == set(has) and had != has:
        yield "  the same rules in another order"


def _rule_lines(rules: Resource | None) -> Sequence[str]:
    return (resource_text(rules) or "").splitlines()


def _lines(change: Change) -> Iterator[str]:
    before, after = ((resource_text(side) or "").splitlines() for side in (change.before, change.after))
    for line in list(unified_diff(before, after, lineterm="", n=1))[2:]:
        # Our own blank sets the sign apart; where in the file that is, says the line that has none.
        yield line if line.startswith("@@") else f"{line[0]} {line[1:]}"
