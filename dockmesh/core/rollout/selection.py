"""Which pairs of hosts decide about a change: those whose path it affects, between hosts that are in the mesh."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import shake_256
from itertools import islice

from dockmesh.core.addresses import FAMILIES, Family
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.probes.join_state import JoinState, not_joined_reason
from dockmesh.core.probes.model import Probe
from dockmesh.core.probes.pairs import Pair, Selection
from dockmesh.core.state.resources import Route

_CANARIES = 16
_DRAWS = 8 * _CANARIES
_DRAW_BYTES = 8


def join_state(facts: HostFacts) -> JoinState:
    """The join state of a host as its facts show it."""
    docker0 = frozenset(address for device, address in facts.addresses if device == DOCKER_BRIDGE)
    return JoinState(docker0, frozenset(each.prefix for each in facts.actual.of(Route)))


def is_joined(host: Host, state: JoinState) -> bool:
    """Whether a host in that state is in the mesh. Without docker0, its routes to peers show that."""
    return not_joined_reason(host, state) is None and bool(host.bridge or state.routes)


@dataclass(frozen=True)
class Membership:
    """Which hosts are in the mesh, and which of them have the routes to each other.

    `final`: the hosts in their desired state. `others`: the join states of further hosts, which may be older states.
    `moved`: the hosts of `final` whose prefix is new.
    """

    fleet: Fleet
    final: AbstractSet[str]
    others: Mapping[str, JoinState] = field(default_factory=dict)
    moved: AbstractSet[str] = frozenset()

    def peers_of(self, name: str) -> AbstractSet[str]:
        """The hosts, itself included, whose probes to and from a host of `final` must succeed.

        A moved host is also a peer of a host that has a route to its old prefix only: the move must not cut that off.
        """
        old = (other for other in self._joined if name in self.moved and self._outdated[other])
        known = (other for other in self._joined if any(self._has_route(other, name, family) for family in FAMILIES))
        return self.final | {*known, *old}

    def know_each_other(self, one: str, other: str) -> bool:
        """Whether both hosts are in the mesh, and each has the routes of a family to the other."""
        return any(self.knows(one, other, family) and self.knows(other, one, family) for family in FAMILIES)

    def knows(self, name: str, peer: str, family: Family) -> bool:
        """Whether the host is in the mesh and has the route to the peer in that family."""
        return name in self.final or (name in self._joined and self._has_route(name, peer, family))

    def decides(self, probe: Probe) -> bool:
        """Whether a probe of a selected pair must succeed: not if an end has no route of its family yet."""
        source, target, family = probe.source, probe.target, probe.family
        known = self.knows(source, target, family) and self.knows(target, source, family)
        return known or source in self.moved or target in self.moved

    def _has_route(self, name: str, peer: str, family: Family) -> bool:
        here, there = self.fleet.host(name).network(family), self.fleet.host(peer).network(family)
        if here is None or there is None:
            return False
        return name == peer or there.prefix is None or there.prefix in self.others[name].routes

    @cached_property
    def _joined(self) -> Sequence[str]:
        return [name for name, state in self.others.items() if is_joined(self.fleet.host(name), state)]

    @cached_property
    def _outdated(self) -> Mapping[str, bool]:
        """Whether each other host has a route to a prefix that no host has."""
        parts = (host.network(family) for host in self.fleet.hosts for family in FAMILIES)
        prefixes = {part.prefix for part in parts if part and part.prefix}
        return {name: bool(self.others[name].routes - prefixes) for name in self._joined}


def affected_pairs(membership: Membership, affected: Mapping[str, AbstractSet[str] | None]) -> dict[str, set[str]]:
    """The pairs whose path a change affects, in both directions.

    `affected`: the result of `affected_peers` for each changed host, all of them hosts of `final`.
    """
    selection: dict[str, set[str]] = {}
    for name, peers in affected.items():
        known = membership.peers_of(name)
        chosen = known if peers is None else known & {*peers, name}
        selection.setdefault(name, set()).update(chosen)
        for peer in chosen:
            selection.setdefault(peer, set()).add(name)
    return selection


def canaries(membership: Membership, selection: Selection, changed: Sequence[str], seed: int) -> tuple[Pair, ...]:
    """A few random pairs of the changed hosts that are not in `selection`. The seed makes them repeatable."""
    found = dict.fromkeys(_drawn_pairs(membership, selection, changed, seed) if changed else ())
    return tuple(islice(found, _CANARIES))


def _drawn_pairs(membership: Membership, selection: Selection, changed: Sequence[str], seed: int) -> Iterator[Pair]:
    draws = shake_256(f"canaries {seed}".encode()).digest(2 * _DRAW_BYTES * _DRAWS)
    numbers = (int.from_bytes(draws[at : at + _DRAW_BYTES]) for at in range(0, len(draws), _DRAW_BYTES))
    for number in numbers:
        source = changed[number % len(changed)]
        targets = sorted(membership.peers_of(source) - selection.get(source, frozenset()) - {source})
        target = next(numbers)
        if targets:
            yield source, targets[target % len(targets)]


def selected(selection: Selection, condition: Callable[[str, str], bool]) -> dict[str, set[str]]:
    """The pairs of the selection that meet the condition."""
    kept = {source: {name for name in targets if condition(source, name)} for source, targets in selection.items()}
    return {source: targets for source, targets in kept.items() if targets}
