"""Evidence for `explain`: one probe between two hosts, and the state of both before and after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from dockmesh.core.explain import script
from dockmesh.core.explain.evidence import Evidence, HostEvidence
from dockmesh.core.explain.model import ExplainQuery
from dockmesh.core.explain.script import PingResult, PreparedEnd
from dockmesh.core.explain.snapshot import HostSnapshot, parse_snapshot
from dockmesh.core.model import Host
from dockmesh.remote.fanout import HostResults
from dockmesh.remote.pair import HostPair
from dockmesh.remote.probe import Prober

Prepared = Mapping[str, PreparedEnd]


def explain_pair(prober: Prober, query: ExplainQuery) -> Evidence:
    """Read both hosts, probe once, and read both again.

    A host that fails receives no further script, and its error becomes part of the evidence.
    """
    pair = HostPair(prober, query.source, query.target)
    steps = _Steps(pair)
    source = pair.source.host
    events = pair.start("look")
    prepared = pair.both(steps.prepare)
    ping: HostResults[PingResult] = HostResults()
    if source.name in prepared.values:
        # Send the probe even if the target failed, because the reply of a router is evidence.
        ping = pair.on_source(lambda host: steps.ping(host, prepared.values))
    # The snapshot also removes the container of the probe, so it follows a failed probe too.
    failed = {**prepared.errors, **ping.errors}
    snapshots = pair.both(lambda host: steps.snapshot(host, prepared.values), skip=failed)
    errors = {**snapshots.errors, **failed}
    pair.finish(events, errors)
    first, second = (
        HostEvidence(end, prepared.values.get(name), snapshots.values.get(name), errors.get(name))
        for end, name in ((end, end.host.name) for end in query.ends)
    )
    return Evidence(query, first, second, ping.values.get(source.name))


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of an explanation, each one script on one host."""

    pair: HostPair

    def prepare(self, host: Host) -> PreparedEnd:
        """Find or start the container on that host, and read the counters of its rules."""
        prober, end = self.pair.prober, self.pair.end_on(host)
        sections = self.pair.run(host, script.find_script(end, prober.templates, offset=prober.offset))
        return script.parse_prepared(end, sections)

    def ping(self, host: Host, prepared: Prepared) -> PingResult:
        """Send the probe to the other host."""
        peer_address = _address(self.pair.peer_of(host), prepared)
        text = script.probe_script(prepared[host.name].address, peer_address, self.pair.prober.templates)
        return script.parse_ping(self.pair.run(host, text, extra_s=script.PROBE_S))

    def snapshot(self, host: Host, prepared: Prepared) -> HostSnapshot:
        """Read the counters again, and the state of the host."""
        peer, own = self.pair.peer_of(host), prepared[host.name]
        peer_address = _address(peer, prepared)
        text = script.snapshot_script(host, peer, own.address, peer_address, self.pair.prober.templates)
        return parse_snapshot(self.pair.run(host, text), own.before)


def _address(host: Host, prepared: Prepared) -> IPv4Address:
    end = prepared.get(host.name)
    return end.address.address if end else script.fallback_address(host)
