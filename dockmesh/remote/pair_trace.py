"""One ping, captured on its two hosts at once.

The barrier: a host answers `begin` when all its captures take packets, and the ping is sent when both have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from dockmesh.core.host_output import Sections, split
from dockmesh.core.model import Host
from dockmesh.core.trace import script
from dockmesh.core.trace.model import Capture, CaptureSet, EndpointAddress, Point, TraceQuery
from dockmesh.errors import HostError, HostFailure
from dockmesh.remote.fanout import fan_out
from dockmesh.remote.probe import Prober

T = TypeVar("T")


def trace_pair(prober: Prober, question: TraceQuery, done: Callable[[str, str | None], None]) -> CaptureSet:
    """Capture the ping of `question`. Whatever goes wrong, the hosts are told to end what they began."""
    run = _Run(prober, question)
    captures: Mapping[str, tuple[Capture, ...]] = {}
    said = ""
    try:
        run.found.update(run.both(run.find))
        if not run.errors:
            run.points.update(run.both(run.begin))
        if not run.errors:
            said = run.ping()
    finally:
        captures = run.both(run.collect)
    for host in run.hosts:
        done(host.name, str(run.errors[host.name]) if host.name in run.errors else None)
    outwards = (*captures.get(run.hosts[0].name, ()), *reversed(captures.get(run.hosts[1].name, ())))
    return CaptureSet(question, run.found, outwards, said, run.errors)


@dataclass(slots=True)
class _Run:
    """What was found and begun so far, so that it can be ended. The first error of a host is the one that counts."""

    prober: Prober
    question: TraceQuery
    found: dict[str, EndpointAddress] = field(default_factory=dict)
    points: dict[str, tuple[Point, ...]] = field(default_factory=dict)
    errors: dict[str, HostFailure] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The two, the source first."""
        return tuple(end.host for end in self.question.ends)

    def both(self, job: Callable[[Host], T]) -> dict[str, T]:
        """What came of a job on both hosts at once, by name."""
        results = {}
        for host, result in fan_out(self.prober.executor, self.hosts, job):
            if isinstance(result, HostError):
                self.errors.setdefault(host.name, result.failure)
            else:
                results[host.name] = result
        return results

    def find(self, host: Host) -> EndpointAddress:
        """Find, or make, the end on that host."""
        end = next(end for end in self.question.ends if end.host == host)
        return script.parse_endpoint_address(
            end, self._said(host, script.find_script(end, self.prober.texts, offset=self.prober.offset))
        )

    def begin(self, host: Host) -> tuple[Point, ...]:
        """Start the captures there, and return when they take packets."""
        return script.parse_points(
            host, self._said(host, script.begin_script(self.question, self.found, host, self.prober.texts))
        )

    def ping(self) -> str:
        """Send the pings; what ping says of them."""
        source = self.hosts[0]
        try:
            asked = script.ping_script(self.question, self.found, self.prober.texts)
            return self._said(source, asked, more_s=script.PING_S)["ping"].text
        except HostError as error:
            self.errors.setdefault(source.name, error.failure)
            return ""

    def collect(self, host: Host) -> tuple[Capture, ...]:
        """Bring the captures home and end all that was begun there."""
        if host.name not in self.found:
            return ()
        end = script.collect_script(self.question, self.found[host.name], self.prober.texts)
        return tuple(script.parse_captures(self.points.get(host.name, ()), self._said(host, end)))

    def _said(self, host: Host, asked: str, *, more_s: float = 0) -> Sections:
        return split(self.prober.sessions.of(host).run(asked, timeout_s=self.prober.timeout_s + more_s))
