"""Evaluates which probe packets leave one host and which arrive on it, for all other hosts at once."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address

from dockmesh.core.addresses import address_range
from dockmesh.core.forecast.host_model import HostModel
from dockmesh.core.forecast.route_lookup import Egress, RouteLookup, inside_bridge, lookup, rp_filter_failures
from dockmesh.core.host_output import sanitize
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.firewalld import rejections
from dockmesh.core.netfilter.flow import AddressBits, FleetAddresses, Flow, Role
from dockmesh.core.netfilter.iptables_save import TABLES
from dockmesh.core.netfilter.iptables_tables import filter_packets, masqueraded_hosts
from dockmesh.core.netfilter.nft_matcher import Hook, NftRuleset, apply_hook, kept_sources, own_ruleset
from dockmesh.core.netfilter.nft_ruleset import hosts_named
from dockmesh.core.netfilter.verdicts import EgressResult, PacketVerdicts, Reason, ReasonCode

# The tables of iptables that packets traverse before dockmesh's own chain of the hook.
_BEFORE_OWN: Mapping[Hook, tuple[str, ...]] = {"FORWARD": ("mangle",)}


class HostPath:
    """The path of packets through one host. `position` is its index in the fleet."""

    def __init__(self, model: HostModel, position: int, addresses: FleetAddresses) -> None:
        self._model, self._addresses = model, addresses
        self._position, self._own_bit = position, 1 << position
        self.name, self.unclear = model.host.name, model.unclear is not None
        self._own_table = own_ruleset(model.table) if model.table else NftRuleset()
        self._lookups: dict[Role, RouteLookup] = {}
        self._foreign_rules = tuple(self._judge_foreign_rules().items())
        self.egress, self.ingress = cache(self._egress), cache(self._ingress)
        self.own_container = cache(self._own_container)

    def _egress(self, begin: Role, to: Role, *, reply: bool = False) -> EgressResult:
        """Verdicts on packets from one role of this host to a role of all others."""
        verdicts = self._new_verdicts(to)
        result = EgressResult(verdicts)
        if self._model.unclear:
            return result
        if begin == "container":
            self._check_container(verdicts, DOCKER_BRIDGE)
            if docker0 := self._model.docker0:
                inside = self._addresses.far[to][address_range(docker0.network)]
                verdicts.block(inside, inside_bridge(self.name))
        for egress, hosts in self._route(verdicts, to, reply=reply).items():
            self._check_link(verdicts, egress[0], hosts)
            self._send(result, egress, hosts & verdicts.left, (begin, to), reply=reply)
        return result

    def _ingress(self, end: Role, source: Role, *, reply: bool = False, masqueraded: bool = False) -> PacketVerdicts:
        """Verdicts on packets from a role of all other hosts to one of this host.

        `masqueraded`: the packets are replies to the host's own address, which replaced the container's.
        """
        verdicts, model, device = self._new_verdicts(source), self._model, self._model.uplink
        if model.unclear:
            return verdicts
        if device is None:
            why = f"no interface of {self.name} has {model.host.underlay}"
            verdicts.block(verdicts.left, Reason(ReasonCode.UNDERLAY_MISSING, why))
            return verdicts
        self._check_link(verdicts, device, verdicts.left)
        if end == "container":
            self._check_container(verdicts, device)
        elif end == "bridge" and all(each.ip != model.bridge for _, each in model.addresses):
            why = f"{self.name} does not have {model.bridge or 'an address in its prefix'}"
            verdicts.block(verdicts.left, Reason(ReasonCode.BRIDGE_ADDRESS_WRONG, why))
        self._check_rp_filter(verdicts, source, device)
        near = int(self._address(end) or 0)
        local = end != "container"
        far = self._addresses.far[source]
        first = Flow(
            far, near, inbound=True, in_interface=device, reply=reply, local=local or masqueraded, mark=model.mark
        )
        first = replace(first, near=int(model.host.underlay)) if masqueraded else first
        routed = self._filter("PREROUTING", first, verdicts)
        last = replace(routed, near=near, local=local, out_interface=None if local else DOCKER_BRIDGE)
        self._filter("INPUT" if local else "FORWARD", last, verdicts)
        return verdicts

    def _own_container(self) -> PacketVerdicts:
        """Verdict on the host's probe of its own container."""
        model, verdicts = self._model, PacketVerdicts(self._own_bit)
        if model.unclear:
            verdicts.mark_uncertain(self._own_bit, self._with_name(model.unclear))
            return verdicts
        for hosts, why in self._foreign_rules:
            verdicts.mark_uncertain(hosts, why)
        self._check_container(verdicts, None)
        if model.docker0 and model.container:
            container = AddressBits({self._position: int(model.container)})
            request = Flow(
                container,
                int(model.docker0.ip),
                inbound=False,
                out_interface=DOCKER_BRIDGE,
                local=True,
                mark=model.mark,
            )
            self._filter("OUTPUT", request, verdicts)
            reply = replace(request, inbound=True, in_interface=DOCKER_BRIDGE, out_interface=None, reply=True)
            for hook in ("PREROUTING", "INPUT"):
                self._filter(hook, reply, verdicts)
        return verdicts

    def _new_verdicts(self, role: Role) -> PacketVerdicts:
        verdicts = PacketVerdicts(self._addresses.far[role].all & ~self._own_bit)
        if self._model.unclear:
            verdicts.mark_uncertain(verdicts.left, self._with_name(self._model.unclear))
        for hosts, why in self._foreign_rules:
            verdicts.mark_uncertain(hosts, why)
        return verdicts

    def _with_name(self, reason: Reason) -> Reason:
        return Reason(reason.code, f"{self.name}: {reason.text}")

    def _judge_foreign_rules(self) -> Mapping[int, Reason]:
        """The first foreign nft rule for each set of hosts. A rule that names this host may concern all of them."""
        found: dict[int, Reason] = {}
        for rule in self._model.foreign_nft:
            hosts = hosts_named(rule, self._addresses.far.values())
            concerned = -1 if hosts is None or hosts & self._own_bit else hosts
            if concerned not in found:
                text = f"{self.name} may drop the packet with an nft rule: {sanitize(rule)}"
                found[concerned] = Reason(ReasonCode.NFT_RULE, text)
        return found

    def _address(self, role: Role) -> IPv4Address | None:
        model = self._model
        return {"underlay": model.host.underlay, "bridge": model.bridge, "container": model.container}[role]

    # --- checks with the same result for packets of all hosts ---------------------------------------------------------

    def _check_link(self, verdicts: PacketVerdicts, device: str, hosts: int) -> None:
        link = self._model.links.get(device)
        if link is None or not (link.up and link.carrier):
            verdicts.block(hosts, Reason(ReasonCode.LINK_DOWN, f"{device} of {self.name} is down"))

    def _check_container(self, verdicts: PacketVerdicts, in_interface: str | None) -> None:
        """Check that the container exists and that the host forwards packets from `in_interface`."""
        model = self._model
        link = model.links.get(DOCKER_BRIDGE)
        entry = model.route_to(model.container) if model.container else None
        if model.container is None or (link and not link.up):
            why = f"{self.name} has no container on docker0"
            verdicts.block(verdicts.left, Reason(ReasonCode.NO_CONTAINER, why))
        elif entry is None or (entry.route.device, entry.hop) != (DOCKER_BRIDGE, None):
            why = f"the route of {self.name} to {model.container} does not lead to docker0"
            verdicts.block(verdicts.left, Reason(ReasonCode.CONTAINER_ROUTE_WRONG, why))
        if in_interface and not model.interface_sysctls(in_interface).forwarding:
            why = f"forwarding from {in_interface} is off on {self.name}"
            verdicts.block(verdicts.left, Reason(ReasonCode.IP_FORWARD_OFF, why))

    # --- routes -------------------------------------------------------------------------------------------------------

    def _routes_to(self, role: Role) -> RouteLookup:
        if role not in self._lookups:
            far = self._addresses.far[role]
            hosts = far.all & ~self._own_bit
            self._lookups[role] = lookup(self._model, far, hosts, self._addresses.owners, role)
        return self._lookups[role]

    def _route(self, verdicts: PacketVerdicts, to: Role, *, reply: bool) -> Mapping[Egress, int]:
        """The hosts with a correct route, by egress. All others are blocked or uncertain."""
        routes = self._routes_to(to)
        # A machine that receives a stray reply may forward it. The probe then fails, because the TTL is too low.
        for hosts, why in (*routes.blocked, *(routes.via_other if reply else ())):
            verdicts.block(hosts, why)
        for hosts, why in (*routes.uncertain, *(() if reply else routes.via_other)):
            verdicts.mark_uncertain(hosts, why)
        return routes.egresses

    def _check_rp_filter(self, verdicts: PacketVerdicts, source: Role, device: str) -> None:
        # The kernel applies the higher value of `all` and the interface.
        rp_filter = max(self._model.interface_sysctls(each).rp_filter for each in ("all", device))
        for hosts, why, certain in rp_filter_failures(self._routes_to(source), self.name, device, rp_filter):
            (verdicts.block if certain else verdicts.mark_uncertain)(hosts, why)

    # --- firewall -----------------------------------------------------------------------------------------------------

    def _filter(self, hook: Hook, flow: Flow, verdicts: PacketVerdicts) -> Flow:
        """Apply iptables with dockmesh's own table in its place, then firewalld, which may reject what these accept.

        Returns the flow with the marks that its packets have afterwards. Marks that other rules change in between do
        not matter, since the own table sets them again before the filter.
        """
        earlier = _BEFORE_OWN.get(hook, ())
        filter_packets(self._model.iptables, hook, flow, verdicts, self.name, tables=earlier)
        flow, drops = apply_hook(self._own_table, hook, flow, flow.far.all)
        for drop in drops:
            verb = "drops" if drop.sure else "may drop"
            why = Reason(ReasonCode.FIREWALL_DROP, f"{self.name} {verb} it: nft {sanitize(str(drop))}")
            (verdicts.block if drop.sure else verdicts.mark_uncertain)(drop.hosts, why)
        later = [table for table in TABLES if table not in earlier]
        filter_packets(self._model.iptables, hook, flow, verdicts, self.name, tables=later)
        for drop in rejections(self._model.firewalld, hook, flow, verdicts.left):
            verb = "rejects" if drop.sure else "may reject"
            why = Reason(
                ReasonCode.FIREWALLD_REFUSES,
                f"{self.name} {verb} the packet with firewalld: {sanitize(drop.rule)}",
            )
            (verdicts.block if drop.sure else verdicts.mark_uncertain)(drop.hosts, why)
        return flow

    # --- sending through the firewall ---------------------------------------------------------------------------------

    def _send(self, result: EgressResult, egress: Egress, hosts: int, ends: tuple[Role, Role], *, reply: bool) -> None:
        (device, source), (begin, to), model = egress, ends, self._model
        from_container = begin == "container"
        near = source if begin == "underlay" else int(self._address(begin) or 0)
        verdicts = PacketVerdicts(hosts)
        far = self._addresses.far[to]
        flow = Flow(
            far,
            near or 0,
            inbound=False,
            out_interface=device,
            reply=reply,
            local=not from_container,
            mark=model.mark,
        )
        if from_container:
            arriving = replace(flow, in_interface=DOCKER_BRIDGE, out_interface=None)
            forwarded = replace(self._filter("PREROUTING", arriving, verdicts), out_interface=device)
            flow = replace(self._filter("FORWARD", forwarded, verdicts), in_interface=None)
        else:
            flow = self._filter("OUTPUT", flow, verdicts)
        flow = self._filter("POSTROUTING", flow, verdicts)
        masqueraded = self._masqueraded(verdicts, flow) if from_container and not reply else 0
        if source != int(model.host.underlay):
            wrong_source = masqueraded or (verdicts.left if begin == "underlay" else 0)
            why = f"{self.name} sends from {IPv4Address(source or 0)}"
            verdicts.mark_uncertain(wrong_source, Reason(ReasonCode.OTHER_SOURCE, why))
            result.wrong_source |= wrong_source
        result.masqueraded |= masqueraded
        result.verdicts.merge(verdicts)

    def _masqueraded(self, verdicts: PacketVerdicts, flow: Flow) -> int:
        """The hosts that receive the host's own address as source: all that dockmesh's nft table does not exempt."""
        kept, maybe_kept = kept_sources(self._own_table, flow, verdicts.left)
        masqueraded, uncertain = masqueraded_hosts(self._model.iptables, flow, verdicts.left & ~kept)
        uncertain |= masqueraded & maybe_kept
        verdicts.mark_uncertain(uncertain, Reason(ReasonCode.MASQUERADED, f"{self.name} may masquerade the packet"))
        return masqueraded & ~maybe_kept
