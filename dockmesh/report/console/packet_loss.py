"""Loss and round trips on the terminal, if each probe has several packets."""

from collections.abc import Iterator

from rich.text import Text

from dockmesh.core.results.model import MeshResult, ProbeResult
from dockmesh.report.console.terminal import pluralize

_WORST = 6


def packet_lines(result: MeshResult) -> Iterator[Text]:
    """Lines about the packets of all probes, and about the probes with the highest loss. None for single packets.

    Replies with a wrong TTL may come from another host.
    """
    probes = [probe for probe in result.probes if probe.reply_ok]
    if not any(probe.received > 1 for probe in probes):
        return
    sent, received = sum(probe.sent for probe in probes), sum(probe.received for probe in probes)
    least = min(probe.rtt_min_ms or 0 for probe in probes)
    mean = sum((probe.rtt_ms or 0) * probe.received for probe in probes) / received
    most = max(probe.rtt_max_ms or 0 for probe in probes)
    yield Text(f"{pluralize(sent, 'packet')}, {_measured(sent, received, least, mean, most)}")
    lossy = sorted((probe for probe in probes if probe.loss), key=lambda probe: -(probe.loss or 0))
    for probe in lossy[:_WORST]:
        yield Text(f"{probe.source} → {probe.target} {probe.what}: {_line(probe)}", style="yellow")
    if len(lossy) > _WORST:
        yield Text(f"{pluralize(len(lossy) - _WORST, 'more probe')} with lost packets", style="yellow")


def _line(probe: ProbeResult) -> str:
    times = (probe.rtt_min_ms or 0, probe.rtt_ms or 0, probe.rtt_max_ms or 0)
    return f"{pluralize(probe.sent, 'packet')}, {_measured(probe.sent, probe.received, *times)}"


def _measured(sent: int, received: int, least: float, mean: float, most: float) -> str:
    return f"{max(sent - received, 0) / sent:.1%} lost, round trips {least:.2f}/{mean:.2f}/{most:.2f} ms (min/avg/max)"
