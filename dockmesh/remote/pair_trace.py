"""One ping, captured on its two hosts.

The ping is sent after both hosts report that all their captures receive packets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dockmesh.core.model import Host
from dockmesh.core.trace import script
from dockmesh.core.trace.model import Capture, CaptureSet, EndpointAddress, Point, TraceQuery
from dockmesh.remote.fanout import HostResults
from dockmesh.remote.pair import HostPair
from dockmesh.remote.probe import Prober

Ends = Mapping[str, EndpointAddress]


def trace_pair(prober: Prober, query: TraceQuery) -> CaptureSet:
    """Capture the ping of `query`. The captures end on both hosts even if a step fails or is interrupted.

    The result has the first error of each host.
    """
    pair = HostPair(prober, query.source, query.target)
    steps = _Steps(pair, query)
    ends: HostResults[EndpointAddress] = HostResults()
    started: HostResults[tuple[Point, ...]] = HostResults()
    ping: HostResults[str] = HostResults()
    events = pair.start("capture")
    try:
        ends = pair.both(steps.find)
        if not ends.errors:
            started = pair.both(lambda host: steps.begin(host, ends.values))
        if not (ends.errors or started.errors):
            ping = pair.on_source(lambda host: steps.ping(host, ends.values))
    finally:
        collected = pair.both(lambda host: steps.collect(host, ends.values, started.values.get(host.name, ())))
    errors = {**collected.errors, **ping.errors, **started.errors, **ends.errors}
    pair.finish(events, errors)
    source, target = (collected.values.get(host.name, ()) for host in pair.hosts)
    output = ping.values.get(query.source.host.name, "")
    return CaptureSet(query, ends.values, (*source, *reversed(target)), output, errors)


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of a trace, each one script on one host."""

    pair: HostPair
    query: TraceQuery

    def find(self, host: Host) -> EndpointAddress:
        """Find or start the container on that host."""
        prober, end = self.pair.prober, self.pair.end_on(host)
        sections = self.pair.run(host, script.find_script(end, prober.templates, offset=prober.offset))
        return script.parse_endpoint_address(end, sections)

    def begin(self, host: Host, ends: Ends) -> tuple[Point, ...]:
        """Start the captures of that host. Returns as soon as they receive packets."""
        text = script.begin_script(self.query, ends, host, self.pair.prober.templates)
        return script.parse_points(host, self.pair.run(host, text))

    def ping(self, host: Host, ends: Ends) -> str:
        """Send the pings, and return the output of ping."""
        text = script.ping_script(self.query, ends, self.pair.prober.templates)
        return self.pair.run(host, text, extra_s=script.PING_S)["ping"].text

    def collect(self, host: Host, ends: Ends, points: Sequence[Point]) -> tuple[Capture, ...]:
        """Return the captures of that host, and end everything that the trace started there."""
        if host.name not in ends:
            return ()
        text = script.collect_script(self.query, ends[host.name], self.pair.prober.templates)
        return tuple(script.parse_captures(points, self.pair.run(host, text)))
