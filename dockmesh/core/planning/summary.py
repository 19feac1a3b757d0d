"""What a plan does to a host, as the few facts that a person checks before applying it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from dockmesh.core.addresses import FAMILIES, Network, host_network
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DAEMON_JSON
from dockmesh.core.planning.plan import HostPlan, StoppedContainers
from dockmesh.core.state import daemon_json
from dockmesh.core.state.diff import Action, Change
from dockmesh.core.state.resources import Chain, DockerNetworking, File, Forwarding, Route, SourceNat, Unit

_SOURCE = re.compile(r"(?:^|\s)-s (\S+)")


@dataclass(frozen=True, slots=True)
class Changed:
    """Names of peers, of keys or of files, in a stable order: those that are added, changed and removed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def by_action(self) -> Iterator[tuple[Action, tuple[str, ...]]]:
        """The names under each action that has any."""
        actions: tuple[tuple[Action, tuple[str, ...]], ...] = (
            ("add", self.added),
            ("change", self.changed),
            ("remove", self.removed),
        )
        return ((action, names) for action, names in actions if names)


@dataclass(frozen=True, slots=True)
class HostSummary:
    """The changes of one host, counted by peer where there is one for each peer.

    `docker` is what Docker has before and after its restart, None where it does not restart. `routes`: peers to whose
    prefixes routes change. `accepted`: peers whose packets the firewall accepts. `source_nat`: the change of what keeps
    the containers' addresses. `keys` are those of daemon.json, which is among
    the `files` only where no key changes.
    """

    docker: tuple[DockerNetworking, DockerNetworking] | None
    stopped: StoppedContainers
    routes: Changed
    accepted: Changed
    source_nat: Action | None
    keys: Changed
    files: Changed
    units: Changed
    forwarding: tuple[Forwarding, ...]


@dataclass(frozen=True)
class PeerNames:
    """The hosts of a fleet by the networks that routes and rules name. Networks of no host stand for themselves."""

    fleet: Fleet

    def of(self, networks: Iterable[str]) -> tuple[str, ...]:
        """The names of the hosts with these networks, in the fleet's order, then the networks of no host."""
        named = {self._by_network.get(each, each) for each in networks}
        positions = self.fleet.positions
        return tuple(sorted(named, key=lambda name: (positions.get(name, len(positions)), name)))

    @cached_property
    def _by_network(self) -> Mapping[str, str]:
        return {str(network): host.name for host in self.fleet.hosts for network in _networks(host)}


def _networks(host: Host) -> Iterator[Network]:
    for network in filter(None, map(host.network, FAMILIES)):
        yield host_network(network.underlay)
        if network.prefix:
            yield network.prefix


def summarize(plan: HostPlan, names: PeerNames) -> HostSummary:
    """The changes of `plan` as facts."""
    changes = tuple(plan.changes)
    keys = _keys(next(filter(_is_daemon_json, changes), None))
    return HostSummary(
        docker=next((_docker(each) for each in changes if isinstance(each.resource, DockerNetworking)), None),
        stopped=plan.stopped,
        routes=_routes([each for each in changes if isinstance(each.resource, Route)], names),
        accepted=_accepted([each for each in changes if isinstance(each.resource, Chain)], names),
        source_nat=next((each.action for each in changes if isinstance(each.resource, SourceNat)), None),
        keys=keys,
        files=_paths(
            each for each in changes if isinstance(each.resource, File) and not (keys and _is_daemon_json(each))
        ),
        units=_paths(each for each in changes if isinstance(each.resource, Unit)),
        forwarding=tuple(each.after for each in changes if isinstance(each.after, Forwarding)),
    )


def _docker(change: Change) -> tuple[DockerNetworking, DockerNetworking]:
    before, after = (
        side if isinstance(side, DockerNetworking) else DockerNetworking(None) for side in (change.before, change.after)
    )
    return before, after


def _routes(changes: list[Change], names: PeerNames) -> Changed:
    prefixes: dict[Action, list[str]] = {"add": [], "change": [], "remove": []}
    for each in changes:
        if isinstance(each.resource, Route):
            prefixes[each.action].append(str(each.resource.prefix))
    return Changed(*map(names.of, (prefixes["add"], prefixes["change"], prefixes["remove"])))


def _accepted(changes: list[Change], names: PeerNames) -> Changed:
    """Rules name a peer's own address and its prefix; what is on both sides has not changed."""
    before, after = ({source for side in sides for source in _sources(side)} for sides in _sides(changes))
    added, removed = names.of(after - before), names.of(before - after)
    return Changed(added, (), removed) if added or removed else Changed(changed=("rules",) * bool(changes))


def _sides(changes: list[Change]) -> Iterator[list[Chain]]:
    yield [each.before for each in changes if isinstance(each.before, Chain)]
    yield [each.after for each in changes if isinstance(each.after, Chain)]


def _sources(chain: Chain) -> Iterator[str]:
    return (found[1] for rule in chain.rules if (found := _SOURCE.search(rule)))


def _is_daemon_json(change: Change) -> bool:
    return isinstance(change.resource, File) and change.resource.path == DAEMON_JSON


def _is_file(change: Change) -> bool:
    return isinstance(change.resource, File)


def _keys(change: Change | None) -> Changed:
    if change is None:
        return Changed()
    before, after = (
        daemon_json.load(side.text) if isinstance(side, File) else {} for side in (change.before, change.after)
    )
    both = [key for key in after if key in before]
    return Changed(
        tuple(key for key in after if key not in before),
        tuple(key for key in both if json.dumps(before[key]) != json.dumps(after[key])),
        tuple(key for key in before if key not in after),
    )


def _paths(changes: Iterable[Change]) -> Changed:
    found: dict[Action, list[str]] = {"add": [], "change": [], "remove": []}
    for each in changes:
        resource = each.resource
        found[each.action].append(resource.path if isinstance(resource, File) else getattr(resource, "name", ""))
    return Changed(*(tuple(found[action]) for action in ("add", "change", "remove")))
