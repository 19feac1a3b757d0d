"""One probe between two hosts, and what both show before and after it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TypeVar

from dockmesh.core.explain import script
from dockmesh.core.explain.evidence import Evidence, HostEvidence
from dockmesh.core.explain.model import ExplainQuery
from dockmesh.core.explain.script import PingResult, PreparedEnd
from dockmesh.core.explain.snapshot import HostSnapshot, parse_snapshot
from dockmesh.core.host_output import Sections, split
from dockmesh.core.model import Host
from dockmesh.errors import HostError, HostFailure
from dockmesh.remote.fanout import fan_out
from dockmesh.remote.probe import Prober

T = TypeVar("T")


def explain_pair(prober: Prober, question: ExplainQuery, done: Callable[[str, str | None], None]) -> Evidence:
    """Probe, and look at both hosts. A host that does not answer is left out, and its error is evidence as well."""
    run = _Run(prober, question)
    run.stood.update(run.both(run.find))
    pinged = run.ping()
    # Also where the probe went wrong: it releases what was made for it.
    sights = run.both(run.look)
    for end in question.ends:
        name = end.host.name
        done(name, str(run.errors[name]) if name in run.errors else None)
    source, target = (run.side(number, sights) for number in (0, 1))
    return Evidence(question, source, target, pinged)


@dataclass(slots=True)
class _Run:
    """What was found so far. The first error of a host is the one that counts, and it is not asked again."""

    prober: Prober
    question: ExplainQuery
    stood: dict[str, PreparedEnd] = field(default_factory=dict)
    errors: dict[str, HostFailure] = field(default_factory=dict)

    def both(self, job: Callable[[Host], T]) -> Mapping[str, T]:
        """What came of a job on both hosts at once, by name."""
        results = {}
        hosts = [end.host for end in self.question.ends if end.host.name not in self.errors]
        for host, result in fan_out(self.prober.executor, hosts, job):
            if isinstance(result, HostError):
                self.errors[host.name] = result.failure
            else:
                results[host.name] = result
        return results

    def side(self, number: int, sights: Mapping[str, HostSnapshot]) -> HostEvidence:
        """An end with all that was seen of it."""
        end = self.question.ends[number]
        name = end.host.name
        return HostEvidence(end, self.stood.get(name), sights.get(name), self.errors.get(name))

    def find(self, host: Host) -> PreparedEnd:
        """Find, or make, the end on that host, and count its rules."""
        end = next(end for end in self.question.ends if end.host == host)
        asked = script.find_script(end, self.prober.texts, offset=self.prober.offset)
        return script.parse_prepared(end, self._said(host, asked))

    def ping(self) -> PingResult:
        """The probe, from the source; also towards a host that was not there, for what the neighbours say."""
        source, target = (end.host for end in self.question.ends)
        if source.name not in self.stood:
            return PingResult(0)
        asked = script.probe_script(self.stood[source.name].address, self._address(target), self.prober.texts)
        try:
            return script.parse_ping(self._said(source, asked, more_s=script.PROBE_S))
        except HostError as error:
            self.errors[source.name] = error.failure
            return PingResult(0)

    def look(self, host: Host) -> HostSnapshot:
        """Count the rules again, and look at everything else."""
        peer = next(end.host for end in self.question.ends if end.host != host)
        stood = self.stood[host.name]
        asked = script.snapshot_script(host, peer, stood.address, self._address(peer), self.prober.texts)
        return parse_snapshot(self._said(host, asked), stood.before)

    def _address(self, host: Host) -> IPv4Address:
        found = self.stood.get(host.name)
        return found.address.address if found else script.fallback_address(host)

    def _said(self, host: Host, asked: str, *, more_s: float = 0) -> Sections:
        return split(self.prober.sessions.of(host).run(asked, timeout_s=self.prober.timeout_s + more_s))
