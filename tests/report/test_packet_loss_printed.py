"""Loss and round trips on the terminal."""

from results import mesh_result

from dockmesh.core.probes.model import Probe
from dockmesh.core.results.model import ProbeResult
from dockmesh.report.console.packet_loss import packet_lines


def measured(target: str, sent: int, received: int) -> ProbeResult:
    return Probe("host1", target, "host-bridge").result(sent, received, 64, 2.0, rtt_min_ms=1.0, rtt_max_ms=3.0)


def lines(*probes: ProbeResult) -> list[str]:
    return [line.plain for line in packet_lines(mesh_result(("host1", "host2"), probes))]


def test_single_packets_have_no_lines() -> None:
    assert lines(measured("host2", 1, 1), measured("host3", 4, 0)) == []


def test_all_packets_are_summarized_and_lossy_probes_are_listed() -> None:
    total, worst, other = lines(measured("host2", 10, 9), measured("host3", 10, 5), measured("host4", 10, 10))
    assert total.startswith("30 packets, 20.0% lost")
    assert "1.00/2.00/3.00 ms" in total
    assert worst.startswith("host1 → host3 host-bridge: 10 packets, 50.0% lost")
    assert "host2" in other


def test_only_the_probes_with_the_highest_loss_are_listed() -> None:
    found = lines(*(measured(f"host{at}", 100, at) for at in range(2, 12)))
    assert len(found) == 8
    assert "host2 " in found[1]
    assert found[-1].startswith("4 ")
