"""The JUnit report for CI servers: a suite per source, a case per pair."""

from io import BytesIO
from itertools import groupby

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult, slowest_ms

_HOSTS = "hosts"


def render(result: MeshResult) -> str:
    """The result as JUnit XML. A pair that could not be probed is an error instead of a failure."""
    mesh = result.mesh or "mesh"
    document = JUnitXml(f"dockmesh {mesh}")
    pending = [_pending(mesh, each) for each in result.hosts if each.pending]
    document.add_testsuite(_suite(result, _HOSTS, [*(_host(mesh, each) for each in result.hosts), *pending]))
    for source, pairs in groupby(result.pairs, key=lambda pair: pair[0]):
        cases = [_case(mesh, source, target, result) for _source, target in pairs]
        document.add_testsuite(_suite(result, f"from {source}", cases))
    buffer = BytesIO()
    document.write(buffer)
    return buffer.getvalue().decode()


def _suite(result: MeshResult, name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(name)
    suite.add_testcases(cases)
    if result.time:
        suite.timestamp = f"{result.time:%Y-%m-%dT%H:%M:%S}"
    return suite


def _host(mesh: str, host: HostResult) -> TestCase:
    case = TestCase(f"{host.host} can be asked", f"{mesh}.{_HOSTS}")
    if host.error is not None:
        case.result = [_entry(Error, host.error, "not asked", host.error)]
    return case


def _pending(mesh: str, host: HostResult) -> TestCase:
    case = TestCase(f"{host.host} has no pending change", f"{mesh}.{_HOSTS}")
    if host.pending:
        case.result = [_entry(Failure, host.pending.message, "pending", f"Fix: {host.pending.remedy(host.host)}")]
    return case


def _case(mesh: str, source: str, target: str, result: MeshResult) -> TestCase:
    probes = result.pairs[source, target]
    slowest = slowest_ms(probes)
    case = TestCase(f"{source} to {target}", f"{mesh}.{source}", None if slowest is None else slowest / 1000)
    failing = [probe for probe in probes if not probe.ok]
    if failing:
        made = any(probe.made for probe in failing)
        why = "; ".join(dict.fromkeys(probe.why for probe in failing))
        kind, text = (Failure, "not reached") if made else (Error, "not probed")
        case.result = [_entry(kind, why, text, _details(probes, result))]
    return case


def _entry(kind: type[FinalResult], message: str, name: str, text: str) -> FinalResult:
    entry = kind(message, name)
    entry.text = text
    return entry


def _details(probes: tuple[ProbeResult, ...], result: MeshResult) -> str:
    """A line per probe, and the errors of the two hosts."""
    ends = dict.fromkeys((probes[0].source, probes[0].target))
    hosts = (f"{host}: {result.errors[host]}" for host in ends if host in result.errors)
    return "\n".join((*(f"{probe.what}: {'reached' if probe.ok else probe.why}" for probe in probes), *hosts))
