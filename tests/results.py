"""Results to report on: a full mesh as probes leave it, whole or with hosts that fail, and as the documents say it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any

from dockmesh.core.model import Fleet, Host, HostNetwork, Login, Settings
from dockmesh.core.probes.model import FailureCode, ProbeReport, ProbeResult
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.results.load import parse_result
from dockmesh.core.results.model import Result
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure
from dockmesh.report.json_documents import status_document

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# What a host may say, made to break out of every form that reports have.
EVIL = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> ]]> --> &amp; \"'` | a\n# b\r\n* c [l](http://e) "
    "**b** <!-- $x$ @all \\ \x1b[31mred\x1b[0m \x00\x08\ud800\ufffe {{ 7*7 }} {% raw %} \u202e\\"
)


def fleet(count: int, *, dual: bool = False) -> Fleet:
    """Hosts in racks of ten; the last has no Docker. `dual`: all but the first have IPv6 as well."""
    hosts = [_host(number, docker=number < count or count < 3) for number in range(1, count + 1)]
    dual_ones = [replace(host, ipv6=_ipv6(at, docker=host.docker)) if at else host for at, host in enumerate(hosts)]
    return Fleet(Settings(name="lab"), tuple(dual_ones if dual else hosts))


def _ipv6(number: int, *, docker: bool) -> HostNetwork:
    prefix = IPv6Network((int(IPv6Address("fd00:128::")) + (number << 72), 56))
    bridge = IPv6Interface((prefix[1], 64)) if docker else None
    return HostNetwork(IPv6Address("fd00:18::1") + number, prefix, bridge)


def _host(number: int, *, docker: bool) -> Host:
    prefix = IPv4Network((int(IPv4Address("10.128.0.0")) + (number - 1) * 4096, 20))
    underlay = IPv4Address("192.168.18.127") + number
    bridge = IPv4Interface((prefix[1], 24)) if docker else None
    tags = frozenset({f"rack{(number - 1) // 10 + 1}"})
    return Host(f"host{number}", underlay, prefix, bridge, docker=docker, login=Login(str(underlay)), tags=tags)


def report(
    among: Fleet, *, cut: Collection[str] = (), silent: Mapping[str, str] | None = None, cause: str | None = None
) -> ProbeReport:
    """What probes find where nothing reaches the hosts in `cut`, nor comes from them, and `silent` cannot be asked."""
    errors = {host: HostFailure(HostErrorCode.UNREACHABLE, why) for host, why in (silent or {}).items()}
    answers = (
        _probe_result(ProbeResult(each, 3, 3, each.expected_ttl, 0.1 + at % 7 / 10), cut, errors, cause)
        for at, each in enumerate(plan_probes(among, among.hosts))
    )
    return ProbeReport(tuple(host.name for host in among.hosts), tuple(answers), errors)


def _probe_result(
    well: ProbeResult, cut: Collection[str], silent: Mapping[str, HostFailure], cause: str | None
) -> ProbeResult:
    source, target = well.probe.source, well.probe.target
    if source in silent:
        reason = f"{source} could not be asked: {silent[source]}"
        return ProbeResult(well.probe, code=FailureCode.NOT_ASKED, reason=reason, probed=False)
    if target in silent and well.probe.kind != "host-bridge":
        reason = f"{target} could not be asked for it"
        return ProbeResult(well.probe, code=FailureCode.NOT_ASKED, reason=reason, probed=False)
    if target in silent or (source != target and {source, target} & set(cut)):
        lost = replace(well, received=0, ttl=None, rtt_ms=None, cause=cause is not None)
        return replace(lost, code=FailureCode.NOT_JOINED if cause else FailureCode.NO_REPLY, reason=cause or "no reply")
    return well


def document(count: int, *, dual: bool = False, **what: Any) -> dict[str, Any]:
    """As `status --json` prints it."""
    among = fleet(count, dual=dual)
    return status_document(report(among, **what), among, at=AT)


def result(count: int, **what: Any) -> Result:
    """As the reports take it."""
    return parse_result(document(count, **what), file="test")
