"""Results to report on: a full mesh as probes leave it, whole or with hosts that fail, and the same as documents."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any

from dockmesh.core.model import Fleet, Host, HostNetwork, Login, Settings
from dockmesh.core.probes.model import Probe
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.results.model import Failure, FailureCode, HostResult, MeshResult, ProbeResult, host_result
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostFailure
from dockmesh.report.json.status import status_document

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


def probed(
    among: Fleet, *, cut: Collection[str] = (), silent: Mapping[str, str] | None = None, cause: str | None = None
) -> MeshResult:
    """What probes find where nothing reaches the hosts in `cut`, nor comes from them, and `silent` cannot be asked.

    `cause`: why the probes of the hosts in `cut` fail, which have not joined.
    """
    errors = {host: HostFailure(HostErrorCode.UNREACHABLE, why) for host, why in (silent or {}).items()}
    probes = (
        _result(each, 0.1 + at % 7 / 10, cut, errors, cause) for at, each in enumerate(plan_probes(among, among.hosts))
    )
    hosts = tuple(host_result(host, errors.get(host.name)) for host in among.hosts)
    return MeshResult(hosts, tuple(probes), among.settings.name, AT)


def _result(
    probe: Probe, rtt_ms: float, cut: Collection[str], silent: Mapping[str, HostFailure], cause: str | None
) -> ProbeResult:
    source, target = probe.source, probe.target
    if source in silent:
        return probe.result().failed(Failure(FailureCode.NOT_ASKED, f"{source} could not be asked: {silent[source]}"))
    if target in silent and probe.kind != "host-bridge":
        return probe.result().failed(Failure(FailureCode.NOT_ASKED, f"{target} could not be asked for it"))
    if target in silent or (source != target and {source, target} & set(cut)):
        about = next((host for host in (source, target) if host in cut), None) if cause else None
        code = FailureCode.NOT_JOINED if cause else FailureCode.NO_REPLY
        return probe.result(3).failed(Failure(code, cause or "no reply", about))
    return probe.result(3, 3, probe.expected_ttl, rtt_ms)


def mesh_result(
    names: Iterable[str],
    probes: Iterable[ProbeResult],
    errors: Mapping[str, str] | None = None,
    tags: Mapping[str, Collection[str]] | None = None,
) -> MeshResult:
    """A result of hosts of which no more is known. Those with an error are unreachable."""
    failures, tagged = errors or {}, tags or {}
    return MeshResult(
        tuple(
            HostResult(
                name,
                failures.get(name),
                tags=tuple(sorted(tagged.get(name, ()))),
                code=HostErrorCode.UNREACHABLE if name in failures else None,
            )
            for name in names
        ),
        tuple(probes),
    )


def result(count: int, *, dual: bool = False, **what: Any) -> MeshResult:
    """A mesh of that many hosts; see `probed`."""
    return probed(fleet(count, dual=dual), **what)


def document(count: int, *, dual: bool = False, **what: Any) -> dict[str, Any]:
    """As `status --json` prints it."""
    return status_document(result(count, dual=dual, **what))
