"""Evidence for `explain`: one probe between two hosts, and the state of both before and after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from dockmesh.core.explain import script
from dockmesh.core.explain.evidence import Evidence, HostEvidence
from dockmesh.core.explain.model import ExplainQuery
from dockmesh.core.explain.script import PingResult, PreparedEnd
from dockmesh.core.explain.snapshot import HostSnapshot, parse_snapshot
from dockmesh.core.host_output import split
from dockmesh.core.model import Host
from dockmesh.remote.fanout import HostResults
from dockmesh.remote.pair import HostPair
from dockmesh.remote.probe import Prober
from dockmesh.remote.transport import HeldScript


@dataclass(frozen=True, slots=True)
class HeldEnd:
    """An end before the probe, and the script that traces the probe on its host."""

    prepared: PreparedEnd
    held: HeldScript


HeldEnds = Mapping[str, HeldEnd]


def explain_pair(prober: Prober, query: ExplainQuery) -> Evidence:
    """Read both hosts, probe once, and read both again.

    A host that fails receives no further script, and its error becomes part of the evidence.
    """
    pair = HostPair(prober, query.source, query.target)
    steps = _Steps(pair, query.size)
    source = pair.source.host
    events = pair.start("look")
    ends = pair.both(steps.prepare)
    ping: HostResults[PingResult] = HostResults()
    if source.name in ends.values:
        # Send the probe even if the target failed, because the reply of a router is evidence.
        ping = pair.on_source(lambda host: steps.ping(host, ends.values))
    # The snapshot also removes the container of the probe, so it follows a failed probe too.
    failed = {**ends.errors, **ping.errors}
    snapshots = pair.both(lambda host: steps.snapshot(host, ends.values), skip=failed)
    errors = {**snapshots.errors, **failed}
    pair.finish(events, errors)
    prepared = {name: end.prepared for name, end in ends.values.items()}
    first, second = (
        HostEvidence(end, prepared.get(name), snapshots.values.get(name), errors.get(name))
        for end, name in ((end, end.host.name) for end in query.ends)
    )
    return Evidence(query, first, second, ping.values.get(source.name))


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of an explanation, each one script on one host."""

    pair: HostPair
    size: int

    def prepare(self, host: Host) -> HeldEnd:
        """Find or start the container on that host, read the counters of its rules, and begin to trace."""
        prober, end = self.pair.prober, self.pair.end_on(host)
        text = script.held_script(end, self.size, prober.templates, offset=prober.offset)
        held = prober.sessions.open(host).hold(text, timeout_s=prober.timeout_s)
        return HeldEnd(script.parse_prepared(end, split(held.output)), held)

    def ping(self, host: Host, ends: HeldEnds) -> PingResult:
        """Send the probe to the other host."""
        peer_address = _address(self.pair.peer_of(host), ends)
        here = ends[host.name].prepared.address
        text = script.probe_script(here, peer_address, self.size, self.pair.prober.templates)
        return script.parse_ping(self.pair.run(host, text, extra_s=script.PROBE_S))

    def snapshot(self, host: Host, ends: HeldEnds) -> HostSnapshot:
        """End the trace, and read the counters again and the state of the host."""
        peer, own = self.pair.peer_of(host), ends[host.name]
        traced = split(own.held.release(timeout_s=self.pair.prober.timeout_s))
        trace = script.parse_probe_trace(traced, _address(self.pair.target.host, ends), self.size)
        here = own.prepared
        text = script.snapshot_script(host, peer, here.address, _address(peer, ends), self.pair.prober.templates)
        return parse_snapshot(self.pair.run(host, text), here.before, trace)


def _address(host: Host, ends: HeldEnds) -> IPv4Address:
    end = ends.get(host.name)
    return end.prepared.address.address if end else script.fallback_address(host)
