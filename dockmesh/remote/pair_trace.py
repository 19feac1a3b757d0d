"""One ping, captured on its two hosts at once.

A host answers `begin` when all its captures receive packets. The ping is sent after both hosts have answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dockmesh.core.model import Host
from dockmesh.core.trace import script
from dockmesh.core.trace.model import Capture, CaptureSet, EndpointAddress, Point, TraceQuery
from dockmesh.remote.fanout import HostResults
from dockmesh.remote.pair import HostPair
from dockmesh.remote.probe import Prober

Found = Mapping[str, EndpointAddress]


def trace_pair(prober: Prober, query: TraceQuery) -> CaptureSet:
    """Capture the ping of `query`. The captures are ended on both hosts even if a step fails or is interrupted.

    The first error of a host counts.
    """
    pair = HostPair(prober, query.source, query.target)
    steps = _Steps(pair, query)
    found: HostResults[EndpointAddress] = HostResults()
    begun: HostResults[tuple[Point, ...]] = HostResults()
    ping: HostResults[str] = HostResults()
    events = pair.start("capture")
    try:
        found = pair.both(steps.find)
        if not found.errors:
            begun = pair.both(lambda host: steps.begin(host, found.values))
        if not (found.errors or begun.errors):
            ping = pair.on_source(lambda host: steps.ping(host, found.values))
    finally:
        collected = pair.both(lambda host: steps.collect(host, found.values, begun.values.get(host.name, ())))
    errors = {**collected.errors, **ping.errors, **begun.errors, **found.errors}
    pair.finish(events, errors)
    source, target = (collected.values.get(host.name, ()) for host in pair.hosts)
    output = ping.values.get(query.source.host.name, "")
    return CaptureSet(query, found.values, (*source, *reversed(target)), output, errors)


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of a trace, each one script on one host."""

    pair: HostPair
    query: TraceQuery

    def find(self, host: Host) -> EndpointAddress:
        """Find the container of the end on that host, or make one."""
        prober, end = self.pair.prober, self.pair.end_on(host)
        sections = self.pair.run(host, script.find_script(end, prober.templates, offset=prober.offset))
        return script.parse_endpoint_address(end, sections)

    def begin(self, host: Host, found: Found) -> tuple[Point, ...]:
        """Start the captures of that host, and return when they receive packets."""
        text = script.begin_script(self.query, found, host, self.pair.prober.templates)
        return script.parse_points(host, self.pair.run(host, text))

    def ping(self, host: Host, found: Found) -> str:
        """Send the pings, and return the output of ping."""
        text = script.ping_script(self.query, found, self.pair.prober.templates)
        return self.pair.run(host, text, extra_s=script.PING_S)["ping"].text

    def collect(self, host: Host, found: Found, points: Sequence[Point]) -> tuple[Capture, ...]:
        """Return the captures of that host, and end all that was started there."""
        if host.name not in found:
            return ()
        text = script.collect_script(self.query, found[host.name], self.pair.prober.templates)
        return tuple(script.parse_captures(points, self.pair.run(host, text)))
