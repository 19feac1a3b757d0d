"""The few facts of a host's plan that a person checks before applying it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

from dockmesh.core.addresses import FAMILIES, Network, host_network, is_inside
from dockmesh.core.host_output import printable
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DAEMON_JSON
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.planning.stopped_containers import StoppedContainers
from dockmesh.core.state import daemon_json
from dockmesh.core.state.diff import Action, Change
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    NftTable,
    Pool,
    Resource,
    Route,
    StrayRoute,
    Unit,
)

# The own prefix in a rule of iptables or nft.
_OWN_PREFIX = re.compile(r"(?<=-[sd] )\S+|(?<=[sd]addr )[^@!]\S*|(?<=[sd]addr != )\S+")
# The packets that a rule of the chain `allowed` accepts.
_ALLOWED = re.compile(r"(?:meta l4proto (?P<protocol>\S+)|(?P<transport>tcp|udp) dport (?P<ports>\S+)) meta mark")
EVERYTHING = "everything"


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

    `docker` has Docker's state before and after a restart; None without a restart. `routes`: peers to whose prefixes
    routes change, and `new_paths`: the new next hop and device of each changed route. `accepted`: peers from which the
    firewall accepts packets. `limits`: what it accepts from them before and after, empty without a rule for peers.
    `source_nat`: the changes that keep the containers' addresses. `keys`: the keys of daemon.json, with the values
    that no other line shows. daemon.json is in `files` only if no key changes.

    `details`: everything else that must be equal for two hosts to have the same change.
    """

    docker: tuple[DockerNetworking, DockerNetworking] | None
    stopped: StoppedContainers
    routes: Changed
    new_paths: tuple[str, ...]
    accepted: Changed
    limits: tuple[str, str]
    source_nat: tuple[Action, ...]
    keys: Changed
    files: Changed
    units: Changed
    forwarding: tuple[Forwarding, ...]
    details: tuple[object, ...]


@dataclass(frozen=True)
class PeerNames:
    """The hosts of a fleet by the networks that routes and sets name. Networks of no host stand for themselves."""

    fleet: Fleet

    def of(self, networks: Iterable[str], *, own: str = "") -> tuple[str, ...]:
        """The names of the hosts with these networks but for `own`, in the fleet's order, then networks of no host."""
        named = {self._by_network.get(each, each) for each in networks} - {own}
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
    """Return the changes of `plan` as facts."""
    changes = tuple(plan.changes)
    keys = _keys(next(filter(_is_daemon_json, changes), None))
    docker = next((_docker(each) for each in changes if isinstance(each.resource, DockerNetworking)), None)
    firewall = [each for each in changes if isinstance(each.resource, AcceptRules | NftTable)]
    before, after = _Firewall([each.before for each in firewall]), _Firewall([each.after for each in firewall])
    return HostSummary(
        docker=docker,
        stopped=plan.stopped,
        routes=_routes([each for each in changes if isinstance(each.resource, Route | StrayRoute)], names),
        new_paths=tuple(_path(each.after) for each in changes if each.before and isinstance(each.after, Route)),
        accepted=_accepted(before, after, names, plan.host),
        limits=(before.limits, after.limits),
        source_nat=tuple(_source_actions(firewall)),
        keys=keys,
        files=_paths(
            each for each in changes if isinstance(each.resource, File) and not (keys and _is_daemon_json(each))
        ),
        units=_paths(each for each in changes if isinstance(each.resource, Unit)),
        forwarding=tuple(each.after for each in changes if isinstance(each.after, Forwarding)),
        details=(plan.stopped, before.shapes, after.shapes, _foreign_pools(docker, names.fleet, plan.host)),
    )


def _docker(change: Change) -> tuple[DockerNetworking, DockerNetworking]:
    before, after = (
        side if isinstance(side, DockerNetworking) else DockerNetworking(None) for side in (change.before, change.after)
    )
    return before, after


def _foreign_pools(
    docker: tuple[DockerNetworking, DockerNetworking] | None, fleet: Fleet, name: str
) -> tuple[Pool, ...]:
    """The new pools outside the host's own prefix."""
    if docker is None:
        return ()
    prefix, pools = fleet.host(name).prefix, docker[1].pools
    return tuple(pool for pool in pools if prefix is None or not is_inside(pool.base, prefix))


def _routes(changes: list[Change], names: PeerNames) -> Changed:
    prefixes: dict[Action, list[str]] = {"add": [], "change": [], "remove": []}
    for each in changes:
        if isinstance(each.resource, Route):
            # All hosts share a route and its text.
            prefixes[each.action].append(each.resource.ip_route_args.partition(" ")[0])
        elif isinstance(each.resource, StrayRoute):
            prefixes[each.action].append(each.resource.text)
    return Changed(*map(names.of, (prefixes["add"], prefixes["change"], prefixes["remove"])))


def _path(route: Route) -> str:
    return f"via {route.next_hop} dev {route.device}"


@dataclass(frozen=True)
class _Firewall:
    """One side of the changed firewall resources. Hosts with the same rules for other prefixes have equal shapes."""

    resources: Sequence[Resource | None]

    @cached_property
    def tables(self) -> Sequence[NftTable]:
        return [each for each in self.resources if isinstance(each, NftTable)]

    @cached_property
    def networks(self) -> frozenset[str]:
        return frozenset(str(network) for table in self.tables for network in table.networks)

    @cached_property
    def shapes(self) -> tuple[tuple[str, ...], ...]:
        rules = (
            each.rules if isinstance(each, AcceptRules) else each.chains for each in self.resources if _is_rules(each)
        )
        return tuple(tuple(_OWN_PREFIX.sub("", rule) for rule in each) for each in rules)

    @cached_property
    def limits(self) -> str:
        """What the host accepts from peers; empty without a table."""
        if not self.tables:
            return ""
        found = [each for table in self.tables for each in map(_ALLOWED.match, table.chains) if each]
        limited = any("chain allowed {" in table.chains for table in self.tables)
        return ", ".join(sorted(set(map(_allowed, found)))) if limited else EVERYTHING


def _is_rules(each: Resource | None) -> TypeGuard[AcceptRules | NftTable]:
    return isinstance(each, AcceptRules | NftTable)


def _allowed(rule: re.Match[str]) -> str:
    return rule["protocol"] or f"{rule['transport']}/{rule['ports']}"


def _accepted(before: _Firewall, after: _Firewall, names: PeerNames, own: str) -> Changed:
    """Compare the sets. A peer with a network on both sides is changed if its networks differ."""
    old, new = names.of(before.networks, own=own), names.of(after.networks, own=own)
    differ = names.of(before.networks ^ after.networks, own=own)
    if before.resources != after.resources and not differ:
        return Changed(changed=("rules",))
    both = set(old) & set(new)
    return Changed(
        tuple(name for name in new if name not in both),
        tuple(name for name in differ if name in both),
        tuple(name for name in old if name not in both),
    )


def _source_actions(changes: Iterable[Change]) -> Iterator[Action]:
    """The action for each family whose source NAT appears or disappears."""
    for each in changes:
        if isinstance(each.resource, NftTable):
            before, after = (
                isinstance(side, NftTable) and "chain source {" in side.chains for side in (each.before, each.after)
            )
            if before != after:
                yield "add" if after else "remove"


def _is_daemon_json(change: Change) -> bool:
    return isinstance(change.resource, File) and change.resource.path == DAEMON_JSON


# Lines about docker0 and the pools show their values.
_SHOWN_KEYS = {"bip", "bip6", "default-address-pools", "fixed-cidr", "fixed-cidr-v6"}
_VALUE_LENGTH = 60


def _keys(change: Change | None) -> Changed:
    if change is None:
        return Changed()
    before, after = _document(change.before), _document(change.after)
    if before is None or after is None:
        return Changed()
    both = [key for key in after if key in before]
    return Changed(
        tuple(_key(key, after[key]) for key in after if key not in before),
        tuple(_key(key, before[key], after[key]) for key in both if json.dumps(before[key]) != json.dumps(after[key])),
        tuple(_key(key, before[key]) for key in before if key not in after),
    )


def _document(side: Resource | None) -> Mapping[str, object] | None:
    """The keys of daemon.json; None if the file is invalid."""
    try:
        return daemon_json.load(side.text) if isinstance(side, File) else {}
    except daemon_json.DaemonJsonError:
        return None


def _key(key: str, *values: object) -> str:
    if key in _SHOWN_KEYS:
        return key
    return f"{printable(key)} {' → '.join(_value(each) for each in values)}"


def _value(value: object) -> str:
    """JSON text of one line, shortened."""
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 1]}…"


def _paths(changes: Iterable[Change]) -> Changed:
    found: dict[Action, list[str]] = {"add": [], "change": [], "remove": []}
    for each in changes:
        resource = each.resource
        found[each.action].append(resource.path if isinstance(resource, File) else getattr(resource, "name", ""))
    return Changed(*(tuple(found[action]) for action in ("add", "change", "remove")))
