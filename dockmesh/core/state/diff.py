"""What changes a host from one state into another, in the order in which it must."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dockmesh.core.addresses import IPV4, sort_key
from dockmesh.core.names import ORIGINAL_JSON
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.resources import DockerNetworking, Forwarding, HostState, Resource, Route, key_of, keyed

Action = Literal["add", "change", "remove", "restart"]
ACTIONS: tuple[Action, ...] = ("add", "change", "remove", "restart")

# The order on the host: Docker reads its file when it restarts, and with nftables does not start where IPv4 is not
# forwarded; DOCKER-USER is there once Docker runs, which sets the policy where it switches forwarding on itself; and
# what puts things back by itself comes when there is something to put back, and goes before that does.
_ORDER = ("gone", "file", "forwarded", "service", "firewall", "nat", "route", "unit", "found")
_ROUTES = (_ORDER.index("route"), ())


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
        if isinstance(self.resource, DockerNetworking):
            return "restart"
        if self.before is None:
            return "add"
        return "remove" if self.after is None else "change"

    def inverse(self) -> "Change":
        """The change that undoes this one."""
        return Change(self.after, self.before, self.reason)


def difference(actual: HostState, wanted: HostState) -> SharedSequence[Change]:
    """The changes that lead from `actual` to `wanted`, in the order in which a host makes them; no reasons yet."""
    before, after = (keyed(state.without_routes) for state in (actual, wanted))
    rest = [
        Change(before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]
    return _in_their_place(rest, _of_routes(actual.of(Route), wanted.of(Route)))


def ordered(changes: Iterable[Change]) -> SharedSequence[Change]:
    """The changes in the order in which a host makes them."""
    rest, routes = _apart(changes)
    return _in_their_place(rest, routes)


def as_additions(resources: Iterable[Resource]) -> SharedSequence[Change]:
    """The changes that make the resources where there is none."""
    return SharedSequence.of(resources).mapped("added", lambda each: Change(None, each))


def with_reasons(changes: Iterable[Change], reason: Callable[[Change], str]) -> SharedSequence[Change]:
    """The changes with reasons; that of a route is the same on every host."""

    def told(change: Change) -> Change:
        return Change(change.before, change.after, reason(change))

    runs = SharedSequence.of(changes).runs("route", is_route)
    return SharedSequence.of(*(run.mapped("told", told) if routes else map(told, run) for routes, run in runs))


def is_route(change: Change) -> bool:
    """Whether it is a route that changes."""
    return isinstance(change.resource, Route)


def not_applied(changes: Iterable[Change], actual: HostState) -> list[Change]:
    """The changes that `actual`, read after them, does not show."""
    now = actual.by_key()
    return [change for change in changes if now.get(key_of(change.resource)) != change.after]


def _of_routes(had: SharedSequence[Route], shall: SharedSequence[Route]) -> SharedSequence[Change]:
    if not had:
        return as_additions(shall).ordered("rank", _rank)
    if had == shall:
        return SharedSequence()
    # Most is the same object on both sides; to look at it would take longer than all the rest.
    was, will = (dict(zip(map(id, side), side, strict=True)) for side in (had, shall))
    before = {was[each].prefix: was[each] for each in was.keys() - will.keys()}
    after = {will[each].prefix: will[each] for each in will.keys() - was.keys()}
    changes = (Change(before.get(each), after.get(each)) for each in before.keys() | after.keys())
    return SharedSequence.of(sorted((each for each in changes if each.before != each.after), key=_rank))


def _apart(changes: Iterable[Change]) -> tuple[list[Change], SharedSequence[Change]]:
    """What changes but routes; and these, in order."""
    runs = tuple(SharedSequence.of(changes).runs("route", is_route))
    rest = [change for routes, run in runs if not routes for change in run]
    return rest, SharedSequence.of(*(run for routes, run in runs if routes)).ordered("rank", _rank)


def _in_their_place(rest: Sequence[Change], routes: SharedSequence[Change]) -> SharedSequence[Change]:
    first = sorted((change for change in rest if _rank(change) < _ROUTES), key=_rank)
    last = sorted((change for change in rest if _rank(change) > _ROUTES), key=_rank)
    return SharedSequence.of(first, routes, last)


def _rank(change: Change) -> tuple[int, tuple[object, ...]]:
    if isinstance(change.resource, Route):
        return _ROUTES[0], sort_key(change.resource.prefix)
    kind, key = key_of(change.resource)
    # What the host was found with is on record before daemon.json changes, and until all else is as it was found.
    if key == ORIGINAL_JSON:
        return (_ORDER.index("found"), ()) if change.after is None else (_ORDER.index("file"), (-1, ""))
    if isinstance(change.resource, Forwarding):
        kind = _forwarding_rank(change.after)
    return _ORDER.index("gone" if kind == "unit" and change.after is None else kind), (-1, key)


def _forwarding_rank(after: Resource | None) -> str:
    """Switched on before all that needs it, but for what Docker switches on itself; switched off after it."""
    if not isinstance(after, Forwarding) or not after.on:
        return "found"
    return "forwarded" if after.family == IPV4 else "firewall"
