"""Who will reach whom: the probes of a status, walked there and back over what their hosts are. IPv4 alone."""

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
# Where the probes of a kind begin, and where they end.
PROBE_ENDS: Mapping[ProbeKind, tuple[Role, Role]] = {
    "host-bridge": ("underlay", "bridge"),
    "host-container": ("underlay", "container"),
    "container-container": ("container", "container"),
}


class Forecast:
    """The prediction for hosts that are so, in the fleet's order. Sets are of their places."""

    def __init__(self, grounds: Sequence[HostModel]) -> None:
        self.names = tuple(each.host.name for each in grounds)
        book = _book(grounds)
        self._sites = tuple(HostPath(each, place, book) for place, each in enumerate(grounds))
        self._offers = {
            "bridge": _places(each.host.prefix is not None for each in grounds),
            "container": _places(each.host.docker for each in grounds),
        }
        self.states = cache(self._states)
        self._columns = cache(self._columned)

    def why(self, place: int, target: int, kind: ProbeKind) -> Reason | None:
        """The first thing on the way that stops a probe which fails, or that may."""
        sure = bool(self.states(place, kind)["failing"] >> target & 1)
        found = (leg.why(at, sure=sure) for leg, at in self._legs(place, target, kind))
        return next(filter(None, found), None)

    def _states(self, place: int, kind: ProbeKind) -> Mapping[PairState, int]:
        """What is foreseen of a host's probes of a kind."""
        (begin, end), site = PROBE_ENDS[kind], self._sites[place]
        asked = self._asked(place, kind)
        own = [site.out(begin, end).verdicts, *([site.own()] if begin != end == "container" else [])]
        stops, doubts = (union(getattr(each, what) for each in own) for what in ("blocked", "uncertain"))
        for hosts, source, home in self._seen(site, begin, end) if asked else ():
            stopping, doubting = self._columns(end, source)
            stops |= hosts & (home.blocked | stopping[place])
            doubts |= hosts & (home.uncertain | doubting[place])
        failing = asked & stops
        unknown = asked & doubts & ~failing
        return {"reached": asked & ~failing & ~unknown, "failing": failing, "unknown": unknown}

    def _asked(self, place: int, kind: ProbeKind) -> int:
        """Whom a host asks for, as `reach.questions.probes` has it."""
        begin, end = PROBE_ENDS[kind]
        if begin == "container" and not self._offers["container"] >> place & 1:
            return 0
        return self._offers[end] & ~(0 if kind == "host-container" else 1 << place)

    @staticmethod
    def _seen(site: HostPath, begin: Role, end: Role) -> Iterator[tuple[int, Role, PacketVerdicts]]:
        """By which address the others see a host's probes, and how their answers come home to it.

        Of what comes from an address that the fleet does not know the host by, nothing more is said.
        """
        leaving = site.out(begin, end)
        masked = leaving.masqueraded & ~leaving.wrong_source
        yield ~(leaving.masqueraded | leaving.wrong_source), begin, site.into(begin, end, reply=True)
        if masked:
            yield masked, "underlay", site.into(begin, end, reply=True, masked=True)

    def _columned(self, end: Role, source: Role) -> tuple[list[int], list[int]]:
        """For each source, the targets that do not take its probe in or answer it, and those that may not."""
        stops, doubts = [0] * len(self._sites), [0] * len(self._sites)
        for target in host_positions(self._offers[end]):
            for leg in self._there(target, end, source):
                for found, hosts in ((stops, leg.blocked), (doubts, leg.uncertain)):
                    for place in host_positions(hosts):
                        found[place] |= 1 << target
        return stops, doubts

    def _there(self, target: int, end: Role, source: Role) -> tuple[PacketVerdicts, PacketVerdicts]:
        site = self._sites[target]
        return site.into(end, source), site.out(end, source, reply=True).verdicts

    def _legs(self, place: int, target: int, kind: ProbeKind) -> Iterator[tuple[PacketVerdicts, int]]:
        """The way of one probe, and whose packet in each part of it is its own."""
        (begin, end), site = PROBE_ENDS[kind], self._sites[place]
        if place == target:
            yield site.own(), place
            return
        yield site.out(begin, end).verdicts, target
        for hosts, source, home in self._seen(site, begin, end):
            if hosts >> target & 1:
                yield from ((leg, place) for leg in self._there(target, end, source))
                yield home, target


def _book(grounds: Sequence[HostModel]) -> FleetAddresses:
    underlays = {place: int(each.host.underlay) for place, each in enumerate(grounds)}
    bridges = {place: int(each.bridge) for place, each in enumerate(grounds) if each.bridge}
    containers = {place: int(each.container) for place, each in enumerate(grounds) if each.container}
    owners = {address: 1 << place for place, address in underlays.items()}
    for place, each in enumerate(grounds):
        for device, address in each.addresses:
            if device != DOCKER_BRIDGE:
                owners.setdefault(int(address.ip), 1 << place)
    return FleetAddresses(
        {"underlay": AddressBits(underlays), "bridge": AddressBits(bridges), "container": AddressBits(containers)},
        owners,
    )


def _places(each: Iterable[bool]) -> int:
    return sum(1 << place for place, there in enumerate(each) if there)
