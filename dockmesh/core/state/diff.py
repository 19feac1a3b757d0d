"""The changes between two states of a host, in the order that the host needs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dockmesh.core.addresses import IPV4, sort_key
from dockmesh.core.names import ORIGINAL_JSON
from dockmesh.core.shared import SharedSequence, without_common_ends
from dockmesh.core.state.resources import (
    DockerNetworking,
    Forwarding,
    HostState,
    NftTable,
    Resource,
    Route,
    StrayRoute,
    key_of,
    keyed,
)

Action = Literal["add", "change", "remove", "restart"]
ACTIONS: tuple[Action, ...] = ("add", "change", "remove", "restart")

# Docker reads daemon.json when it restarts, and with nftables does not start while IPv4 forwarding is off. Where
# daemon.json allows direct routing, the nft table keeps other hosts out, so it exists whenever Docker runs with that.
# DOCKER-USER exists only once Docker runs, and Docker sets the FORWARD policy when it enables forwarding itself.
# Units are installed after the routes and rules that they restore, and removed before them.
_ORDER = (
    "removed-unit",
    "file",
    "table",
    "forwarding",
    "service",
    "firewall",
    "opened-table",
    "removed-stray",
    "route",
    "stray",
    "unit",
    "original",
)
_ROUTES = (_ORDER.index("route"), ())


@dataclass(frozen=True, slots=True)
class Change:
    """A resource before and after; at least one of them is not None."""

    before: Resource | None
    after: Resource | None
    reason: str = ""

    @property
    def resource(self) -> Resource:
        """The resource after the change, or before it if the change removes it."""
        resource = self.after or self.before
        assert resource is not None  # noqa: S101 (invariant of the type)
        return resource

    @property
    def action(self) -> Action:
        """The action of the plan document."""
        if isinstance(self.resource, DockerNetworking):
            return "restart"
        if self.before is None:
            return "add"
        return "remove" if self.after is None else "change"

    def inverse(self) -> "Change":
        """Return the change that undoes this one."""
        return Change(self.after, self.before, self.reason)


def difference(actual: HostState, wanted: HostState) -> SharedSequence[Change]:
    """Return the changes from `actual` to `wanted`, in the order in which a host makes them, without reasons."""
    before, after = (keyed(state.without_routes) for state in (actual, wanted))
    rest = [
        Change(before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]
    return _in_order(rest, _route_changes(actual.of(Route), wanted.of(Route)))


def ordered(changes: Iterable[Change]) -> SharedSequence[Change]:
    """Return the changes in the order in which a host makes them."""
    rest, routes = _split_routes(changes)
    return _in_order(rest, routes)


def as_additions(resources: Iterable[Resource]) -> SharedSequence[Change]:
    """Return the changes that add the resources."""
    return SharedSequence.of(resources).mapped("added", lambda each: Change(None, each))


def with_reasons(changes: Iterable[Change], reason: Callable[[Change], str]) -> SharedSequence[Change]:
    """Return the changes with reasons. The reason of a route must be the same on every host, since hosts share it."""

    def explained(change: Change) -> Change:
        return Change(change.before, change.after, reason(change))

    runs = SharedSequence.of(changes).runs("route", is_route)
    return SharedSequence.of(
        *(run.mapped("explained", explained) if routes else map(explained, run) for routes, run in runs)
    )


def is_route(change: Change) -> bool:
    """Whether the change is of a route."""
    return isinstance(change.resource, Route)


def not_applied(changes: Iterable[Change], actual: HostState) -> list[Change]:
    """Return the changes that `actual`, read after apply, lacks."""
    now = actual.by_key()
    return [change for change in changes if now.get(key_of(change.resource)) != change.after]


def _route_changes(actual: SharedSequence[Route], wanted: SharedSequence[Route]) -> SharedSequence[Change]:
    if not actual:
        return as_additions(wanted).ordered("rank", _rank)
    if actual == wanted:
        return SharedSequence()
    # Most routes are equal, and comparing sequences takes a fraction of the time of making sets.
    present, target = map(frozenset, without_common_ends(tuple(actual), tuple(wanted)))
    before = {each.prefix: each for each in present - target}
    after = {each.prefix: each for each in target - present}
    changes = (Change(before.get(each), after.get(each)) for each in before.keys() | after.keys())
    return SharedSequence.of(sorted(changes, key=_rank))


def _split_routes(changes: Iterable[Change]) -> tuple[list[Change], SharedSequence[Change]]:
    """The changes of other resources, and the changes of routes in order."""
    runs = tuple(SharedSequence.of(changes).runs("route", is_route))
    rest = [change for routes, run in runs if not routes for change in run]
    return rest, SharedSequence.of(*(run for routes, run in runs if routes)).ordered("rank", _rank)


def _in_order(rest: Sequence[Change], routes: SharedSequence[Change]) -> SharedSequence[Change]:
    first = sorted((change for change in rest if _rank(change) < _ROUTES), key=_rank)
    last = sorted((change for change in rest if _rank(change) > _ROUTES), key=_rank)
    return SharedSequence.of(first, routes, last)


def _rank(change: Change) -> tuple[int, tuple[object, ...]]:
    if isinstance(change.resource, Route):
        return _ROUTES[0], sort_key(change.resource.prefix)
    kind, key = key_of(change.resource)
    # The record of the original state is written before daemon.json changes, and removed after everything else.
    if key == ORIGINAL_JSON:
        return (_ORDER.index("original"), ()) if change.after is None else (_ORDER.index("file"), (-1, ""))
    if isinstance(change.resource, Forwarding):
        kind = _forwarding_rank(change.after)
    if isinstance(change.resource, NftTable):
        opens = change.after is None or (_is_closed(change.before) and not _is_closed(change.after))
        kind = "opened-table" if opens else "table"
    # The kernel replaces the first route to a prefix, and refuses a replacement that equals a later one.
    if isinstance(change.resource, StrayRoute):
        kind = "removed-stray" if change.after is None else "stray"
    return _ORDER.index("removed-unit" if kind == "unit" and change.after is None else kind), (-1, key)


def _is_closed(side: Resource | None) -> bool:
    """Whether the table drops packets of other hosts. Then it must exist whenever Docker runs with direct routing."""
    return isinstance(side, NftTable) and any(" saddr != " in line and line.endswith(" drop") for line in side.chains)


def _forwarding_rank(after: Resource | None) -> str:
    """On before everything that needs it, except IPv6, which Docker enables itself; off after everything else."""
    if not isinstance(after, Forwarding) or not after.on:
        return "original"
    return "forwarding" if after.family == IPV4 else "firewall"
