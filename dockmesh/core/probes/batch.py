"""The row: all probes of one source, which one script sends, and the parser of its output."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from shlex import quote

from dockmesh.core.addresses import Address
from dockmesh.core.host_output import Section
from dockmesh.core.model import Fleet
from dockmesh.core.probes.full_size import HEADERS_BYTES
from dockmesh.core.probes.ids import ProbeIds
from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.core.probes.packets import destination, full_sizes, smallest_uplink
from dockmesh.core.probes.replies import SentPacket, parse_replies
from dockmesh.core.probes.verdict import probe_result
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult, host_result
from dockmesh.core.templates import Templates
from dockmesh.errors import HostFailure

_INTERVAL_S = 0.2
# A prober sends at least 160 first packets per second; the processes of ping take more time.
_PROBES_PER_S = 100
# The retries of the last probe: 1.6 s, or two series of pings. The start delay is included.
_LAST_S = 2.5
_PACKETS = 4
# A row starts half a millisecond later than that of the host before it. Otherwise the first 32 packets of all hosts
# would meet in the queues of switches.
_HOSTS_PER_MS = 2
_MAX_DELAY_MS = 250
_SUPERFLUOUS = re.compile(r"^ *(?:#.*)?\n|^ +", re.MULTILINE)


def row_script(
    probes: Sequence[Probe],
    targets: Mapping[str, ProbeTarget],
    texts: Templates,
    *,
    pid: int | None,
    ids: ProbeIds,
    nonce: bytes,
    positions: Mapping[str, int],
    count: int = 1,
) -> str:
    """The part of a script that sends the probes of one host. It needs output.sh and probe.sh before it.

    `pid`: a process in the network namespace of the source container. `positions`: the place of each host in the fleet.
    Each row starts at its own host, because all hosts probe at once. `count`: the number of packets per probe.
    """
    number = positions[probes[0].source] if probes else 0
    delay_ms = min(number // _HOSTS_PER_MS, _MAX_DELAY_MS)
    call = f"run_row {nonce.hex()} {pid or 0} {count} {delay_ms}"
    lines = _lines(probes, targets, ids, positions)
    first = sum(position < number for position, _line in lines)
    rotated = "".join(line for _position, line in lines[first:] + lines[:first])
    program = quote(_compact(texts.prober))
    return f"prober={program}\nprobes() {{ {call} <<'END'\n{rotated}END\n}}\nrun_section probes probes\n"


@cache
def _compact(program: str) -> str:
    """The program without comments and indentation, a quarter less to send."""
    return _SUPERFLUOUS.sub("", program)


def _lines(
    probes: Sequence[Probe], targets: Mapping[str, ProbeTarget], ids: ProbeIds, positions: Mapping[str, int]
) -> list[tuple[int, str]]:
    """The line of each probe that the host sends, after the position of its target."""
    sizes = full_sizes(probes, targets)
    return [
        (
            positions[probe.target],
            _line(index, probe, address, ids.of(probe.kind, positions[probe.target]), sizes.get(probe)),
        )
        for index, probe in enumerate(probes)
        if (address := destination(probe, targets))
    ]


def _line(index: int, probe: Probe, address: Address, icmp_id: int, size: int | None) -> str:
    where = "container" if probe.kind == "container-container" else "host"
    payload = size - HEADERS_BYTES[probe.family] if size else 0
    return f"{index} {where} {address.exploded} {payload} {icmp_id}\n"


def parse_row(probes: Sequence[Probe], targets: Mapping[str, ProbeTarget], section: Section) -> Iterator[ProbeResult]:
    """Parse the output of `row_script`. Yields one ProbeResult per probe, in the order of `probes`."""
    sizes = full_sizes(probes, targets)
    sent = {
        index: SentPacket(address, sizes.get(probe))
        for index, probe in enumerate(probes)
        if (address := destination(probe, targets))
    }
    replies = parse_replies(section, sent)
    for index, probe in enumerate(probes):
        if index not in sent:
            yield probe.result().failed(_no_destination(probe, targets))
        else:
            own = targets.get(probe.source, ProbeTarget()).addresses
            uplink = smallest_uplink(probe, targets) if sent[index].size else None
            yield probe_result(probe, replies.get(index), own, uplink)


def row_s(number_of_probes: int, count: int = 1) -> float:
    """The maximum time in seconds of a row in which no probe gets a reply."""
    if number_of_probes == 0:
        return 0
    return _LAST_S + number_of_probes / _PROBES_PER_S + _INTERVAL_S * max(count - _PACKETS, 0)


def not_sent(probes: Iterable[Probe], error: str) -> Iterator[ProbeResult]:
    """The results of probes whose source could not be asked. `error` is their reason."""
    return (probe.result().failed(Failure(FailureCode.NOT_ASKED, error, probe.source)) for probe in probes)


def mesh_result(
    fleet: Fleet,
    probes: Mapping[str, Sequence[Probe]],
    rows: Mapping[str, Sequence[ProbeResult]],
    errors: Mapping[str, HostFailure],
) -> MeshResult:
    """All rows as one result, in the order of the fleet. The probes of a host without a row count as failed."""
    rows_of = (
        rows[name] if name in rows else not_sent(probes[name], f"{name} could not be asked: {errors.get(name)}")
        for name in (host.name for host in fleet.hosts)
        if name in probes
    )
    return MeshResult(
        tuple(host_result(host, errors.get(host.name)) for host in fleet.hosts),
        tuple(result for row in rows_of for result in row),
        fleet.settings.name,
    )


def _no_destination(probe: Probe, targets: Mapping[str, ProbeTarget]) -> Failure:
    ends = (probe.target, probe.source) if probe.kind == "container-container" else (probe.target,)
    errors = (targets[name].error for name in ends if name in targets)
    no_address = Failure(FailureCode.NO_ADDRESS, f"{probe.target} has no address to probe", probe.target)
    return next((error for error in errors if error), no_address)
