"""A result for CI servers: JUnit XML, a suite per host that asked, a case per pair."""

from io import BytesIO
from itertools import groupby

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from dockmesh.core.results.model import HostResult, MeshResult, ProbeResult, slowest_ms

_HOSTS = "hosts"


def render(result: MeshResult) -> str:
    """The XML. A case that fails says why; one that could not be tried is an error."""
    mesh = result.mesh or "mesh"
    document = JUnitXml(f"dockmesh {mesh}")
    document.add_testsuite(_suite(result, _HOSTS, [_host(mesh, each) for each in result.hosts]))
    for source, pairs in groupby(result.pairs, key=lambda pair: pair[0]):
        cases = [_case(mesh, source, target, result) for _source, target in pairs]
        document.add_testsuite(_suite(result, f"from {source}", cases))
    written = BytesIO()
    document.write(written)
    return written.getvalue().decode()


def _suite(result: MeshResult, name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(name)
    suite.add_testcases(cases)
    if result.time:
        suite.timestamp = f"{result.time:%Y-%m-%dT%H:%M:%S}"
    return suite


def _host(mesh: str, host: HostResult) -> TestCase:
    case = TestCase(f"{host.host} can be asked", f"{mesh}.{_HOSTS}")
    if host.error is not None:
        case.result = [_mark(Error, host.error, "not asked", host.error)]
    return case


def _case(mesh: str, source: str, target: str, result: MeshResult) -> TestCase:
    probes = result.pairs[source, target]
    slowest = slowest_ms(probes)
    case = TestCase(f"{source} to {target}", f"{mesh}.{source}", None if slowest is None else slowest / 1000)
    failing = [probe for probe in probes if not probe.ok]
    if failing:
        tried = any(probe.made for probe in failing)
        why = "; ".join(dict.fromkeys(probe.why for probe in failing))
        mark = Failure if tried else Error
        case.result = [_mark(mark, why, "not reached" if tried else "not probed", _told(probes, result))]
    return case


def _mark(mark: type[FinalResult], message: str, kind: str, text: str) -> FinalResult:
    made = mark(message, kind)
    made.text = text
    return made


def _told(probes: tuple[ProbeResult, ...], result: MeshResult) -> str:
    """A line per probe, and what is wrong with the hosts themselves."""
    ends = dict.fromkeys((probes[0].source, probes[0].target))
    hosts = (f"{host}: {result.errors[host]}" for host in ends if host in result.errors)
    return "\n".join((*(f"{probe.what}: {'reached' if probe.ok else probe.why}" for probe in probes), *hosts))
