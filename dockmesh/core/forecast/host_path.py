"""The way within one host: which packets of probes leave it, and which arrive; those of all other hosts at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address, IPv4Network

from dockmesh.core.addresses import AddressRange, Network, address_range
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.forecast.route_lookup import Egress, RouteLookup, inside_bridge, lookup, rp_filter_failures
from dockmesh.core.host_output import sanitize
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.firewalld import Hook, rejections
from dockmesh.core.netfilter.flow import AddressBits, FleetAddresses, Flow, Role, merge_ranges
from dockmesh.core.netfilter.iptables_tables import filter_packets, masqueraded_hosts
from dockmesh.core.netfilter.nft_ruleset import hosts_named
from dockmesh.core.netfilter.verdicts import EgressResult, PacketVerdicts, Reason, ReasonCode


class HostPath:
    """One host at its place in the fleet."""

    def __init__(self, ground: HostModel, place: int, book: FleetAddresses) -> None:
        self._ground, self._book = ground, book
        self._place, self._own = place, 1 << place
        self.name = ground.host.name
        self._led: dict[Role, RouteLookup] = {}
        self._doubts = tuple(self._doubted())
        self.out, self.into, self.own = cache(self._out), cache(self._into), cache(self._within)

    def _out(self, begin: Role, to: Role, *, reply: bool = False) -> EgressResult:
        """Packets from one end on this host to the others'."""
        sieve = self._sieve(to)
        leaving = EgressResult(sieve)
        if self._ground.unclear:
            return leaving
        if begin == "container":
            self._container(sieve, DOCKER_BRIDGE)
            if docker0 := self._ground.docker0:
                sieve.block(self._book.far[to][address_range(docker0.network)], inside_bridge(self.name))
        for (device, source), hosts in self._lead(sieve, to, reply=reply).items():
            self._wire(sieve, device, hosts)
            self._leave(leaving, (device, source), hosts & sieve.left, (begin, to), reply=reply)
        return leaving

    def _into(self, end: Role, source: Role, *, reply: bool = False, masked: bool = False) -> PacketVerdicts:
        """Packets from the others' ends to one on this host; `masked`: by its own address, which answers come to."""
        sieve, at, device = self._sieve(source), self._ground, self._ground.uplink
        if at.unclear:
            return sieve
        if device is None:
            why = f"no interface of {self.name} has {at.host.underlay}"
            sieve.block(sieve.left, Reason(ReasonCode.UNDERLAY_MISSING, why))
            return sieve
        self._wire(sieve, device, sieve.left)
        if end == "container":
            self._container(sieve, device)
        elif end == "bridge" and all(each.ip != at.bridge for _, each in at.addresses):
            why = f"{self.name} does not have {at.bridge or 'an address in its prefix'}"
            sieve.block(sieve.left, Reason(ReasonCode.BRIDGE_ADDRESS_WRONG, why))
        self._senders(sieve, source, device)
        near = int(self._address(end) or 0)
        local = end != "container"
        first = Flow(
            self._book.far[source], near, inbound=True, in_interface=device, reply=reply, local=local or masked
        )
        first = replace(first, near=int(at.host.underlay)) if masked else first
        self._through("PREROUTING", first, sieve)
        last = replace(first, near=near, local=local, out_interface=None if local else DOCKER_BRIDGE)
        self._through("INPUT" if local else "FORWARD", last, sieve)
        return sieve

    def _within(self) -> PacketVerdicts:
        """The host's probe of its own container."""
        at, sieve = self._ground, PacketVerdicts(self._own)
        if at.unclear:
            sieve.mark_uncertain(self._own, self._unclear(at.unclear))
            return sieve
        for hosts, why in self._doubts:
            sieve.mark_uncertain(hosts, why)
        self._container(sieve, None)
        if at.docker0 and at.container:
            only = AddressBits({self._place: int(at.container)})
            there = Flow(only, int(at.docker0.ip), inbound=False, out_interface=DOCKER_BRIDGE, local=True)
            self._through("OUTPUT", there, sieve)
            back = replace(there, inbound=True, in_interface=DOCKER_BRIDGE, out_interface=None, reply=True)
            for hook in ("PREROUTING", "INPUT"):
                self._through(hook, back, sieve)
        return sieve

    def _sieve(self, role: Role) -> PacketVerdicts:
        sieve = PacketVerdicts(self._book.far[role].all & ~self._own)
        if self._ground.unclear:
            sieve.mark_uncertain(sieve.left, self._unclear(self._ground.unclear))
        for hosts, why in self._doubts:
            sieve.mark_uncertain(hosts, why)
        return sieve

    def _unclear(self, why: Reason) -> Reason:
        return Reason(why.code, f"{self.name}: {why.text}")

    def _doubted(self) -> Iterator[tuple[int, Reason]]:
        """What rules that are not walked may be about: where they name this host, all packets."""
        for rule in self._ground.foreign_nft:
            hosts = hosts_named(rule, self._book.far.values())
            every = hosts is None or bool(hosts & self._own)
            why = Reason(ReasonCode.NFT_RULE, f"{self.name} may refuse it by nft: {sanitize(rule)}")
            yield -1 if every else hosts or 0, why

    def _address(self, role: Role) -> IPv4Address | None:
        at = self._ground
        return {"underlay": at.host.underlay, "bridge": at.bridge, "container": at.container}[role]

    # --- what is the same for packets of all hosts --------------------------------------------------------------------

    def _wire(self, sieve: PacketVerdicts, device: str, hosts: int) -> None:
        link = self._ground.links.get(device)
        if link is None or not (link.up and link.carrier):
            sieve.block(hosts, Reason(ReasonCode.LINK_DOWN, f"{device} of {self.name} is down"))

    def _container(self, sieve: PacketVerdicts, came_in: str | None) -> None:
        """Whether there is one, and the host forwards to it or from it what comes in there."""
        at = self._ground
        link = at.links.get(DOCKER_BRIDGE)
        road = next((each for each in at.routes if at.container and at.container in each.route.prefix), None)
        if at.container is None or (link and not link.up):
            sieve.block(sieve.left, Reason(ReasonCode.NO_CONTAINER, f"{self.name} has no container on its docker0"))
        elif road is None or (road.route.device, road.hop) != (DOCKER_BRIDGE, None):
            why = f"{self.name} does not lead what is for {at.container} to docker0"
            sieve.block(sieve.left, Reason(ReasonCode.CONTAINER_ROUTE_WRONG, why))
        if came_in and not at.interface_sysctls(came_in).forwarding:
            why = f"{self.name} forwards nothing that comes in by {came_in}"
            sieve.block(sieve.left, Reason(ReasonCode.IP_FORWARD_OFF, why))

    # --- roads --------------------------------------------------------------------------------------------------------

    def _roads(self, role: Role) -> RouteLookup:
        """Where the host sends packets for the others."""
        if role not in self._led:
            far = self._book.far[role]
            hosts = far.all & ~self._own
            self._led[role] = lookup(self._ground, far, hosts, self._book.owners, role)
        return self._led[role]

    def _lead(self, sieve: PacketVerdicts, to: Role, *, reply: bool) -> Mapping[Egress, int]:
        """The packets that are led right, by how they leave; all others are sieved out."""
        roads = self._roads(to)
        for hosts, why in (*roads.blocked, *(roads.via_other if reply else ())):
            # Whoever gets an answer astray may pass it on; its TTL would show that, and the probe fail by it.
            sieve.block(hosts, why)
        for hosts, why in (*roads.uncertain, *(() if reply else roads.via_other)):
            sieve.mark_uncertain(hosts, why)
        return roads.egresses

    def _senders(self, sieve: PacketVerdicts, source: Role, device: str) -> None:
        """Whether the kernel takes what comes in from there."""
        check = max(self._ground.interface_sysctls(each).rp_filter for each in ("all", device))
        for hosts, why, sure in rp_filter_failures(self._roads(source), self.name, device, check):
            (sieve.block if sure else sieve.mark_uncertain)(hosts, why)

    # --- through the firewall -----------------------------------------------------------------------------------------

    def _through(self, hook: Hook, flow: Flow, sieve: PacketVerdicts) -> None:
        """Iptables first, then firewalld, which may refuse what iptables accepts."""
        at = self._ground
        filter_packets(at.iptables, hook, flow, sieve, self.name)
        for refused in rejections(at.firewalld, hook, flow, sieve.left):
            told = (
                f"{self.name} {'refuses' if refused.sure else 'may refuse'} it by firewalld: {sanitize(refused.rule)}"
            )
            why = Reason(ReasonCode.FIREWALLD_REFUSES, told)
            (sieve.block if refused.sure else sieve.mark_uncertain)(refused.hosts, why)

    # --- out through the firewall -------------------------------------------------------------------------------------

    def _leave(self, leaving: EgressResult, way: Egress, hosts: int, ends: tuple[Role, Role], *, reply: bool) -> None:
        (device, source), (begin, to), at = way, ends, self._ground
        inside = begin == "container"
        near = source if begin == "underlay" else int(self._address(begin) or 0)
        part = PacketVerdicts(hosts)
        flow = Flow(self._book.far[to], near or 0, inbound=False, out_interface=device, reply=reply, local=not inside)
        if inside:
            came = replace(flow, in_interface=DOCKER_BRIDGE)
            self._through("PREROUTING", replace(came, out_interface=None), part)
            self._through("FORWARD", came, part)
        else:
            self._through("OUTPUT", flow, part)
        self._through("POSTROUTING", flow, part)
        masked = self._masked(part, flow) if inside and not reply else 0
        if source != int(at.host.underlay):
            odd = masked or (part.left if begin == "underlay" else 0)
            why = f"{self.name} sends from {IPv4Address(source or 0)}"
            part.mark_uncertain(odd, Reason(ReasonCode.OTHER_SOURCE, why))
            leaving.wrong_source |= odd
        leaving.masqueraded |= masked
        leaving.verdicts.merge(part)

    def _masked(self, sieve: PacketVerdicts, flow: Flow) -> int:
        """Those that Docker's masquerade gives the host's own address: all but those that dockmesh's table keeps."""
        keeps, kept = self._ground.source_nat, 0
        if keeps and keeps.prefix and any(first <= flow.near <= last for first, last in _spans([keeps.prefix])):
            kept = flow.far.among(merge_ranges(_spans(keeps.peers)))
        masked, maybe = masqueraded_hosts(self._ground.iptables, flow, sieve.left & ~kept)
        sieve.mark_uncertain(maybe, Reason(ReasonCode.MASQUERADED, f"{self.name} may masquerade it"))
        return masked


def _spans(networks: Iterable[Network]) -> Iterator[AddressRange]:
    return (address_range(each) for each in networks if isinstance(each, IPv4Network))
