"""From where probes come, as the hosts that they reach see it.

A probe is told from others by its size: every source has one of its own for its host's pings and one for its
container's, so that a packet has a sender also where somebody has put another address into it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dockmesh.core.addresses import IPV4, IPV6, Address
from dockmesh.core.model import Fleet
from dockmesh.core.probes.model import ProbeTarget
from dockmesh.core.probes.observed import ObservedPing
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult

# ping's own, and room for so many sources before two share a size.
_PAYLOAD_BYTES = 56
_SOURCES = 128


def payload(kind: str, number: int) -> int:
    """The bytes that a probe of a kind carries; `number` is its source's in the fleet."""
    return _PAYLOAD_BYTES + 2 * (number % _SOURCES) + (kind == "container-container")


def with_sources(
    result: MeshResult,
    fleet: Fleet,
    targets: Mapping[str, ProbeTarget],
    observed: Mapping[str, frozenset[ObservedPing]],
) -> MeshResult:
    """The result, and in each probe the source that its target saw; where that is a wrong one, it fails."""
    numbers = {host.name: number for number, host in enumerate(fleet.hosts)}
    found = {name: _by_destination(pings) for name, pings in observed.items()}
    check = _SourceCheck(fleet, targets, _owners(targets))
    return replace(
        result,
        probes=tuple(
            check.checked(probe, found[probe.target], payload(probe.kind, numbers[probe.source]))
            if probe.reached and probe.target in found
            else probe
            for probe in result.probes
        ),
    )


@dataclass(frozen=True, slots=True)
class _SourceCheck:
    """What decides whether a source is the right one. `owners`: whose addresses are known, by address."""

    fleet: Fleet
    targets: Mapping[str, ProbeTarget]
    owners: Mapping[Address, str]

    def checked(
        self, probe: ProbeResult, found: Mapping[tuple[Address, int], frozenset[Address]], size: int
    ) -> ProbeResult:
        """The probe with the source that was seen, if any."""
        destination = self.targets.get(probe.target, ProbeTarget()).address(probe.kind, probe.family)
        sources = found.get((destination, size), frozenset()) if destination else frozenset()
        right = self._right(probe)
        if known := sources & right:
            return replace(probe, source_seen=min(known, key=int))
        # Sources that share the size are there under addresses of their own.
        left = {each for each in sources if self.owners.get(each) in {None, probe.source, probe.target}}
        if not left:
            return probe
        source = min(left, key=int)
        wrong = replace(probe, source_seen=source)
        if not probe.ok or not right:
            return wrong
        masked = probe.kind == "container-container" and self.owners.get(source) == probe.source
        return wrong.failed(self._masked(probe) if masked else self._odd(probe, source, right))

    def _right(self, probe: ProbeResult) -> frozenset[Address]:
        """The addresses that the probe may come from."""
        source = self.targets.get(probe.source, ProbeTarget())
        container = source.container if probe.family == IPV4 else source.container6
        inside = frozenset([container] if container else [])
        if probe.kind != "container-container":
            return source.addresses
        if not self.fleet.settings.source_nat:
            return inside
        # Docker before 27 hides nothing behind a host's IPv6 unless it is told to.
        return source.addresses | inside if probe.family == IPV6 else source.addresses

    def _masked(self, probe: ProbeResult) -> Failure:
        wanted = self.fleet.settings.source_nat
        does = "does not masquerade" if wanted else "masquerades"
        spite = f"in spite of source_nat: {str(wanted).lower()}"
        code = FailureCode.NOT_MASQUERADED if wanted else FailureCode.MASQUERADED
        reason = f"{probe.source} {does} towards its peers, {spite}: dockmesh apply --limit {probe.source}"
        return Failure(code, reason, probe.source)

    def _odd(self, probe: ProbeResult, source: Address, right: Iterable[Address]) -> Failure:
        owner = self.owners.get(source)
        whose = f", an address of {owner}" if owner else ""
        wanted = ", ".join(map(str, sorted(right, key=int)))
        sees = f"{probe.target} sees {source}{whose}, not {wanted}"
        look = f"see where it is translated by dockmesh trace {probe.source} {probe.target}"
        return Failure(FailureCode.SOURCE, f"{sees}: {look}")


def _by_destination(pings: Iterable[ObservedPing]) -> dict[tuple[Address, int], frozenset[Address]]:
    found: dict[tuple[Address, int], set[Address]] = {}
    for ping in pings:
        found.setdefault((ping.destination, ping.payload), set()).add(ping.source)
    return {key: frozenset(sources) for key, sources in found.items()}


def _owners(targets: Mapping[str, ProbeTarget]) -> dict[Address, str]:
    return {
        address: name
        for name, target in targets.items()
        for address in (*target.addresses, target.container, target.container6)
        if address
    }
