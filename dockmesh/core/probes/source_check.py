"""The check of source addresses: each target reports the source of the pings that it received.

All probes to a target have different ICMP ids. The id identifies the source even if NAT rewrote its address.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dockmesh.core.addresses import IPV4, IPV6, Address
from dockmesh.core.model import Fleet
from dockmesh.core.probes.ids import ProbeIds
from dockmesh.core.probes.model import ProbeTarget
from dockmesh.core.probes.observed import ObservedPing
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult


def with_sources(
    result: MeshResult,
    fleet: Fleet,
    targets: Mapping[str, ProbeTarget],
    observed: Mapping[str, frozenset[ObservedPing]],
    ids: Mapping[str, ProbeIds],
) -> MeshResult:
    """The result with the source address that each target saw. A probe with a wrong source address fails.

    `ids`: the ICMP ids of the probes, by source.
    """
    positions = {host.name: position for position, host in enumerate(fleet.hosts)}
    sources = {name: _by_destination(pings) for name, pings in observed.items()}
    check = _SourceCheck(fleet, targets, _owners(targets))
    return replace(
        result,
        probes=tuple(
            check.checked(probe, sources[probe.target], ids[probe.source].of(probe.kind, positions[probe.target]))
            if probe.reached and probe.target in sources and probe.source in ids
            else probe
            for probe in result.probes
        ),
    )


@dataclass(frozen=True, slots=True)
class _SourceCheck:
    """The check of one source address after another. `owners`: the host of each known address."""

    fleet: Fleet
    targets: Mapping[str, ProbeTarget]
    owners: Mapping[Address, str]

    def checked(
        self, probe: ProbeResult, observed: Mapping[tuple[Address, int], frozenset[Address]], icmp_id: int
    ) -> ProbeResult:
        """The probe with the observed source address, if there is one; failed if that is wrong."""
        destination = self.targets.get(probe.target, ProbeTarget()).address(probe.kind, probe.family)
        sources = observed.get((destination, icmp_id), frozenset()) if destination else frozenset()
        expected = self._expected(probe)
        if correct := sources & expected:
            return replace(probe, source_seen=min(correct, key=int))
        # An address of a third host belongs to another run, whose ids can be the same.
        wrong_sources = {each for each in sources if self.owners.get(each) in {None, probe.source, probe.target}}
        if not wrong_sources:
            return probe
        source = min(wrong_sources, key=int)
        checked = replace(probe, source_seen=source)
        if not probe.ok or not expected:
            return checked
        masked = probe.kind == "container-container" and self.owners.get(source) == probe.source
        return checked.failed(self._source_nat(probe) if masked else self._wrong_source(probe, source, expected))

    def _expected(self, probe: ProbeResult) -> frozenset[Address]:
        """The source addresses that are correct for the probe."""
        source = self.targets.get(probe.source, ProbeTarget())
        container = source.container if probe.family == IPV4 else source.container6
        inside = frozenset([container] if container else [])
        if probe.kind != "container-container":
            return source.addresses
        if not self.fleet.settings.source_nat:
            return inside
        # Docker before 27 does not masquerade IPv6 by default, so both addresses are correct.
        return source.addresses | inside if probe.family == IPV6 else source.addresses

    def _source_nat(self, probe: ProbeResult) -> Failure:
        wanted = self.fleet.settings.source_nat
        does = "does not masquerade" if wanted else "masquerades"
        setting = f"although source_nat is {str(wanted).lower()}"
        code = FailureCode.NOT_MASQUERADED if wanted else FailureCode.MASQUERADED
        reason = f"{probe.source} {does} packets to its peers {setting}. Fix: dockmesh apply --limit {probe.source}"
        return Failure(code, reason, probe.source)

    def _wrong_source(self, probe: ProbeResult, source: Address, expected: Iterable[Address]) -> Failure:
        owner = self.owners.get(source)
        whose = f", an address of {owner}" if owner else ""
        wanted = ", ".join(map(str, sorted(expected, key=int)))
        sees = f"{probe.target} sees the source address {source}{whose}, not {wanted}"
        hint = f"To find the translation, run dockmesh trace {probe.source} {probe.target}"
        return Failure(FailureCode.SOURCE, f"{sees}. {hint}")


def _by_destination(pings: Iterable[ObservedPing]) -> dict[tuple[Address, int], frozenset[Address]]:
    sources: dict[tuple[Address, int], set[Address]] = {}
    for ping in pings:
        sources.setdefault((ping.destination, ping.icmp_id), set()).add(ping.source)
    return {key: frozenset(addresses) for key, addresses in sources.items()}


def _owners(targets: Mapping[str, ProbeTarget]) -> dict[Address, str]:
    return {
        address: name
        for name, target in targets.items()
        for address in (*target.addresses, target.container, target.container6)
        if address
    }
