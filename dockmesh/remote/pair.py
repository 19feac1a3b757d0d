"""Jobs on the two hosts of a query."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dockmesh.core.events import Phase
from dockmesh.core.host_output import Sections, split
from dockmesh.core.model import Host
from dockmesh.core.trace.model import Endpoint
from dockmesh.errors import HostFailure
from dockmesh.remote.fanout import HostResults, PhaseEvents, attempt, fan_out
from dockmesh.remote.probe import Prober

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HostPair:
    """The two ends of a query, on two hosts, and the prober that reaches them."""

    prober: Prober
    source: Endpoint
    target: Endpoint

    @property
    def hosts(self) -> tuple[Host, Host]:
        """The two hosts, the source first."""
        return self.source.host, self.target.host

    def end_on(self, host: Host) -> Endpoint:
        """The end on that host."""
        return self.source if self.source.host == host else self.target

    def peer_of(self, host: Host) -> Host:
        """The other host."""
        return self.target.host if self.source.host == host else self.source.host

    def both(self, job: Callable[[Host], T], *, skip: Iterable[str] = ()) -> HostResults[T]:
        """Run `job` on both hosts in parallel, except on the hosts in `skip`."""
        skipped = set(skip)
        hosts = [host for host in self.hosts if host.name not in skipped]
        return HostResults.collect(fan_out(self.prober.fan_out.executor, hosts, job))

    def on_source(self, job: Callable[[Host], T]) -> HostResults[T]:
        """Run `job` on the source's host, in the calling thread."""
        host = self.source.host
        return HostResults.collect([(host, attempt(job, host))])

    def run(self, host: Host, script: str, *, extra_s: float = 0) -> Sections:
        """Run a script on one host. `extra_s`: seconds that it may take beyond the timeout of the run.

        Raises:
            HostError: as `transport.Session.run`.
        """
        session = self.prober.sessions.open(host)
        return split(session.run(script, timeout_s=self.prober.timeout_s + extra_s))

    def start(self, phase: Phase) -> PhaseEvents:
        """Start a phase of both hosts."""
        return PhaseEvents.start(self.prober.fan_out.emit, phase, len(self.hosts))

    def finish(self, events: PhaseEvents, errors: Mapping[str, HostFailure]) -> None:
        """Finish the phase for both hosts."""
        for host in self.hosts:
            events.finish(host.name, str(errors[host.name]) if host.name in errors else None)
