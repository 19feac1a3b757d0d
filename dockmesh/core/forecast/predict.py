"""Predicts the results of the IPv4 probes of a status from the models of the hosts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Literal

from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.forecast.host_path import HostPath
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.flow import AddressBits, FleetAddresses, Role, host_positions, union
from dockmesh.core.netfilter.verdicts import PacketVerdicts, Reason
from dockmesh.core.probes.model import ProbeKind

PairState = Literal["reached", "failing", "unknown"]
PAIR_STATES: tuple[PairState, ...] = ("reached", "failing", "unknown")
_WORST_FIRST: tuple[PairState, ...] = ("failing", "unknown", "reached")
# The source and the target of each kind of probe.
PROBE_ENDS: Mapping[ProbeKind, tuple[Role, Role]] = {
    "host-bridge": ("underlay", "bridge"),
    "host-container": ("underlay", "container"),
    "container-container": ("container", "container"),
}


class Forecast:
    """The predicted reachability between hosts, given in the fleet's order.

    A position is a host's index in that order. A set of hosts is an integer with one bit for each position.
    """

    def __init__(self, models: Sequence[HostModel]) -> None:
        self.names = tuple(each.host.name for each in models)
        self.joined = frozenset(each.host.name for each in models if each.joined)
        addresses = _fleet_addresses(models)
        self._paths = tuple(HostPath(each, position, addresses) for position, each in enumerate(models))
        self._offers = {
            "bridge": _bits(each.host.prefix is not None for each in models),
            "container": _bits(each.host.docker for each in models),
        }
        self.states = cache(self._states)
        self._unanswered = cache(self._unanswered_by_source)

    def pair_state(self, position: int, target: int) -> PairState:
        """The worst state of the probes from one host to another; `unknown` without a probe."""
        found = {
            state for kind in PROBE_ENDS for state, hosts in self.states(position, kind).items() if hosts >> target & 1
        }
        return next((state for state in _WORST_FIRST if state in found), "unknown")

    def why(self, position: int, target: int, kind: ProbeKind) -> Reason | None:
        """The first reason on the path why a probe fails or may fail. None if it succeeds."""
        sure = bool(self.states(position, kind)["failing"] >> target & 1)
        reasons = (verdicts.why(host, sure=sure) for verdicts, host in self._path_of_probe(position, target, kind))
        return next(filter(None, reasons), None)

    def _states(self, position: int, kind: ProbeKind) -> Mapping[PairState, int]:
        """The targets of a host's probes of one kind, by predicted state."""
        (begin, end), path = PROBE_ENDS[kind], self._paths[position]
        targets = self._targets(position, kind)
        own = [path.egress(begin, end).verdicts, *([path.own_container()] if begin != end == "container" else [])]
        blocked, uncertain = (union(getattr(each, what) for each in own) for what in ("blocked", "uncertain"))
        for hosts, source, replies in self._returns(path, begin, end) if targets else ():
            peer_blocks, peer_uncertain = self._unanswered(end, source)
            certain = peer_blocks[position]
            if path.unclear and source == "container":
                # Its Docker may masquerade the probe.
                certain &= self._unanswered(end, "underlay")[0][position]
            blocked |= hosts & (replies.blocked | certain)
            uncertain |= hosts & (replies.uncertain | peer_uncertain[position])
        failing = targets & blocked
        unknown = targets & uncertain & ~failing
        return {"reached": targets & ~failing & ~unknown, "failing": failing, "unknown": unknown}

    def _targets(self, position: int, kind: ProbeKind) -> int:
        """The targets of a host's probes, as `plan_probes` selects them."""
        begin, end = PROBE_ENDS[kind]
        if begin == "container" and not self._offers["container"] >> position & 1:
            return 0
        return self._offers[end] & ~(0 if kind == "host-container" else 1 << position)

    @staticmethod
    def _returns(path: HostPath, begin: Role, end: Role) -> Iterator[tuple[int, Role, PacketVerdicts]]:
        """The source role that sets of peers see, and the verdicts on their replies.

        Peers that see an address unknown to the fleet are left out, because no route to it can be looked up.
        """
        sent = path.egress(begin, end)
        masqueraded = sent.masqueraded & ~sent.wrong_source
        yield ~(sent.masqueraded | sent.wrong_source), begin, path.ingress(begin, end, reply=True)
        if masqueraded:
            yield masqueraded, "underlay", path.ingress(begin, end, reply=True, masqueraded=True)

    def _unanswered_by_source(self, end: Role, source: Role) -> tuple[list[int], list[int]]:
        """For each source, the targets that drop its probe or their own reply, and those that may."""
        blocked, uncertain = [0] * len(self._paths), [0] * len(self._paths)
        for target in host_positions(self._offers[end]):
            for verdicts in self._through_target(target, end, source):
                for targets, hosts in ((blocked, verdicts.blocked), (uncertain, verdicts.uncertain)):
                    for position in host_positions(hosts):
                        targets[position] |= 1 << target
        return blocked, uncertain

    def _through_target(self, target: int, end: Role, source: Role) -> tuple[PacketVerdicts, PacketVerdicts]:
        path = self._paths[target]
        return path.ingress(end, source), path.egress(end, source, reply=True).verdicts

    def _path_of_probe(self, position: int, target: int, kind: ProbeKind) -> Iterator[tuple[PacketVerdicts, int]]:
        """The verdicts along the path of one probe, each with the host whose bit represents this probe."""
        (begin, end), path = PROBE_ENDS[kind], self._paths[position]
        if position == target:
            yield path.own_container(), position
            return
        yield path.egress(begin, end).verdicts, target
        for hosts, source, replies in self._returns(path, begin, end):
            if hosts >> target & 1:
                yield from ((verdicts, position) for verdicts in self._through_target(target, end, source))
                yield replies, target


def _fleet_addresses(models: Sequence[HostModel]) -> FleetAddresses:
    underlays = {position: int(each.host.underlay) for position, each in enumerate(models)}
    bridges = {position: int(each.bridge) for position, each in enumerate(models) if each.bridge}
    containers = {position: int(each.container) for position, each in enumerate(models) if each.container}
    owners = {address: 1 << position for position, address in underlays.items()}
    for position, each in enumerate(models):
        for device, address in each.addresses:
            if device != DOCKER_BRIDGE:
                owners.setdefault(int(address.ip), 1 << position)
    return FleetAddresses(
        {"underlay": AddressBits(underlays), "bridge": AddressBits(bridges), "container": AddressBits(containers)},
        owners,
    )


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << position for position, flag in enumerate(flags) if flag)
