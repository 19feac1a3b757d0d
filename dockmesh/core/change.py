"""What changes a host from one state into another, in the order in which it must."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dockmesh.core.addresses import IPV4, order
from dockmesh.core.facts import ORIGINAL_JSON
from dockmesh.core.model import (
    Bridge,
    Forwarding,
    HostState,
    Resource,
    Route,
    key_of,
    keyed,
)

Action = Literal["add", "change", "remove", "restart"]

# The order on the host: Docker reads its file when it restarts, and with nftables does not start where IPv4 is not
# forwarded; DOCKER-USER is there once Docker runs, which sets the policy where it switches forwarding on itself; and
# what puts things back by itself comes when there is something to put back, and goes before that does.
_ORDER = ("gone", "file", "forwarded", "service", "firewall", "nat", "route", "unit", "found")


@dataclass(frozen=True, slots=True)
class Change:
    """One resource before and after; never None on both sides."""

    before: Resource | None
    after: Resource | None
    reason: str = ""

    @property
    def resource(self) -> Resource:
        """The side that is there; the later one where both are."""
        resource = self.after or self.before
        assert resource is not None  # noqa: S101 (the type's own law)
        return resource

    @property
    def action(self) -> Action:
        """What apply does to the resource."""
        if isinstance(self.resource, Bridge):
            return "restart"
        if self.before is None:
            return "add"
        return "remove" if self.after is None else "change"

    def inverse(self) -> "Change":
        """The change that undoes this one."""
        return Change(self.after, self.before, self.reason)


def difference(actual: HostState, wanted: HostState) -> tuple[Change, ...]:
    """The changes that lead from `actual` to `wanted`, in the order in which a host makes them; no reasons yet."""
    # Most is the same object on both sides; to look at it would take longer than all the rest.
    has, shall = (set(map(id, state.resources)) for state in (actual, wanted))
    before, after = (
        keyed(each for each in actual.resources if id(each) not in shall),
        keyed(each for each in wanted.resources if id(each) not in has),
    )
    keys = before.keys() | after.keys()
    return ordered(Change(before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key))


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes in the order in which a host makes them."""
    return tuple(sorted(changes, key=_rank))


def unmade(changes: Iterable[Change], actual: HostState) -> list[Change]:
    """The changes that `actual`, read after them, does not show."""
    now = actual.by_key()
    return [change for change in changes if now.get(key_of(change.resource)) != change.after]


def _rank(change: Change) -> tuple[int, tuple[object, ...]]:
    kind, key = key_of(change.resource)
    # What the host was found with is on record before daemon.json changes, and until all else is as it was found.
    if key == ORIGINAL_JSON:
        return (_ORDER.index("found"), ()) if change.after is None else (_ORDER.index("file"), (-1, ""))
    if isinstance(change.resource, Forwarding):
        kind = _forwarding_rank(change.after)
    if isinstance(change.resource, Route):
        # By their numbers, not by their digits.
        return _ORDER.index(kind), order(change.resource.prefix)
    return _ORDER.index("gone" if kind == "unit" and change.after is None else kind), (-1, key)


def _forwarding_rank(after: Resource | None) -> str:
    """Switched on before all that needs it, but for what Docker switches on itself; switched off after it."""
    if not isinstance(after, Forwarding) or not after.on:
        return "found"
    return "forwarded" if after.family == IPV4 else "firewall"
