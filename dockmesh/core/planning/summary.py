"""The few facts of a host's plan that a person checks before applying it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dockmesh.core.addresses import FAMILIES, Network, host_network, is_inside
from dockmesh.core.host_output import printable
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DAEMON_JSON, FORWARD_CHAIN
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.planning.stopped_containers import StoppedContainers
from dockmesh.core.state import daemon_json
from dockmesh.core.state.diff import Action, Change
from dockmesh.core.state.resources import (
    Chain,
    DockerNetworking,
    File,
    Forwarding,
    Pool,
    Resource,
    Route,
    SourceNat,
    StrayRoute,
    Unit,
)

# Rules of iptables and of nft that name the network of a peer.
_SOURCE = re.compile(r"(?:^|\s)(?:-s|ip6? saddr) (?!!=)(\S+)")
_TRANSPORT = re.compile(r"\b(?:tcp|udp)\b")
_PROTOCOL = re.compile(r"(?:-p|ip protocol) (\w+)")
# The start of the rules for peers that a host with `allow` has, in iptables and nft.
_ALWAYS = re.compile(r"icmp|ctstate|ct state|ct status")
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
    """The hosts of a fleet by the networks that routes and rules name. Networks of no host stand for themselves."""

    fleet: Fleet
    _splits: dict[str, tuple[str, str]] = field(default_factory=dict)

    def split(self, rule: str) -> tuple[str, str]:
        """Return the source that a rule names, or an empty text, and the rest. Hosts have many rules in common."""
        if rule not in self._splits:
            found = _SOURCE.search(rule)
            self._splits[rule] = (found[1], _SOURCE.sub("", rule)) if found else ("", rule)
        return self._splits[rule]

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
    before, after = (_rule_set(side, names) for side in _sides(changes))
    return HostSummary(
        docker=docker,
        stopped=plan.stopped,
        routes=_routes([each for each in changes if isinstance(each.resource, Route | StrayRoute)], names),
        new_paths=tuple(_path(each.after) for each in changes if each.before and isinstance(each.after, Route)),
        accepted=_accepted(before, after, names, plan.host),
        limits=(_limits(before.shapes), _limits(after.shapes)),
        source_nat=tuple(_source_actions(changes)),
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


# A rule with the table and the chain or, for the marks of nft, the table alone.
_Rule = tuple[str, str]


def _sides(changes: Iterable[Change]) -> tuple[Iterator[_Rule], Iterator[_Rule]]:
    """Return the changed firewall rules that name a source, before and after."""
    sides = [(each.before, each.after) for each in changes if isinstance(each.resource, Chain | SourceNat)]
    return (rule for side, _ in sides for rule in _rules(side)), (rule for _, side in sides for rule in _rules(side))


def _rules(side: Resource | None) -> Iterator[_Rule]:
    match side:
        case Chain(name=name, hook=hook, rules=rules):
            yield f"{name} {hook}", ""
            yield from ((name, rule) for rule in rules)
        case SourceNat(marks=marks):
            yield from (("marks", rule) for rule in marks)
        case _:
            return


@dataclass(frozen=True, slots=True)
class _RuleSet:
    """The rules of one side, their sources, and their shapes: the rules without the sources.

    Hosts with the same rules for different peers have equal shapes.
    """

    rules: frozenset[_Rule]
    sources: frozenset[str]
    shapes: frozenset[_Rule]


def _rule_set(rules: Iterable[_Rule], names: PeerNames) -> _RuleSet:
    distinct = frozenset(rules)
    parts = [(place, names.split(rule)) for place, rule in distinct]
    return _RuleSet(
        distinct,
        frozenset(source for _place, (source, _rest) in parts if source),
        frozenset((place, rest) for place, (source, rest) in parts if source),
    )


def _accepted(before: _RuleSet, after: _RuleSet, names: PeerNames, own: str) -> Changed:
    """Compare the sources. A peer with a rule on both sides is changed if the rules differ."""
    added = names.of(after.sources - before.sources, own=own)
    removed = names.of(before.sources - after.sources, own=own)
    both = before.sources & after.sources
    differ = {names.split(rule)[0] for _place, rule in before.rules ^ after.rules} & both if both else set()
    changed = names.of(differ, own=own)
    if before.rules != after.rules and not (added or removed or changed):
        return Changed(changed=("rules",))
    return Changed(added, tuple(name for name in changed if name not in {*added, *removed}), removed)


def _limits(shapes: Iterable[_Rule]) -> str:
    """Describe the packets that the rules for peers accept. Raw rules are never limited, and say nothing."""
    limited = {rest for place, rest in shapes if place in {FORWARD_CHAIN, "marks"} and "DROP" not in rest}
    if not limited:
        return ""
    ports = {rest: _port(rest) for rest in limited}
    if any(not _PROTOCOL.search(rest) and not port and not _ALWAYS.search(rest) for rest, port in ports.items()):
        return EVERYTHING
    texts = set(filter(None, ports.values()))
    texts |= {found[1] for rest, port in ports.items() if not port and (found := _PROTOCOL.search(rest))}
    return ", ".join(sorted(texts))


def _port(rule: str) -> str | None:
    """The protocol and the ports that a rule accepts, as PROTOCOL/PORTS; None without ports."""
    before, _, after = rule.partition("dport ")
    protocol = _TRANSPORT.search(before)
    return f"{protocol[0]}/{after.split(maxsplit=1)[0]}" if protocol and after.strip() else None


def _source_actions(changes: Iterable[Change]) -> Iterator[Action]:
    """The action for each family, without changes of the marks alone."""
    for each in changes:
        if isinstance(each.resource, SourceNat):
            before, after = (side if isinstance(side, SourceNat) else SourceNat() for side in (each.before, each.after))
            if (before.prefix, before.peers) != (after.prefix, after.peers):
                yield "add" if before.prefix is None else "remove" if after.prefix is None else "change"


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
