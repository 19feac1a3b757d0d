"""`trace` compared with independent captures, on working and on broken paths."""

import base64
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import host_view
import mesh
import pytest
from accidents import container_address, container_stopped, output_of, temporarily
from lab_state import SharedHosts, difference
from mesh import CommandResult, Mesh

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

THERE = [
    ("host1", "container", "eth0", 64),
    ("host1", "bridge", "docker0", 64),
    ("host1", "uplink", "eth0", 63),
    ("host3", "uplink", "eth0", 63),
    ("host3", "bridge", "docker0", 62),
    ("host3", "container", "eth0", 62),
]
BACK = [(*where[:3], ttl) for where, (*_where, ttl) in zip(THERE[::-1], THERE, strict=True)]
_LINE = re.compile(r"\bttl (\d+),.*\n\s+([\d.]+) > ([\d.]+): ICMP echo (request|reply),", re.MULTILINE)
_WITHIN_S = 40.0
_AT_ONCE_S = 3.0
LEFT = "pgrep -a 'tcpdump|tshark|dumpcap'; ls -d /run/dockmesh-trace*; ls /run/netns; pgrep -a -f 'sleep [0-9]'; "
UNITS = "systemctl list-units --all --no-legend 'dockmesh-trace*'"
Seen = set[tuple[str, str, str, int]]


def hop_tuples(hops: list[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    return [(hop["host"], hop["place"], hop["interface"], hop["ttl"]) for hop in hops]


def leftovers(lab: Lab, host: str) -> str:
    return lab.run(host, ("sh", "-c", f"{{ {LEFT}{UNITS}; }} 2>/dev/null")).stdout


@pytest.fixture(autouse=True)
def nothing_left(lab: Lab) -> Iterator[None]:
    """No test may leave a capture, a folder, a unit or a namespace on the hosts."""
    hosts = ("host1", "host2", "host3")
    before = {host: leftovers(lab, host) for host in hosts}
    yield
    poll(lambda: {host: leftovers(lab, host) for host in hosts} == before, _AT_ONCE_S)
    assert {host: leftovers(lab, host) for host in hosts} == before


@contextmanager
def independent_capture(lab: Lab, host: str, interface: str, container: str | None = None) -> Iterator[Seen]:
    """The pings in an independent tcpdump on the host: kind, source, destination and TTL."""
    seen: Seen = set()
    inside = ""
    if container:
        pid = output_of(lab, host, "docker", "inspect", "--format", "{{.State.Pid}}", container)
        inside = f"nsenter --target {pid} --net "
    file = f"/root/{interface}-{container or 'host'}"
    begin = f"setsid {inside}tcpdump --immediate-mode -l -n -v -i {interface} icmp >{file} 2>{file}.said & echo $!"
    pid = output_of(lab, host, "sh", "-c", begin)
    try:
        assert poll(lambda: "listening" in output_of(lab, host, "cat", f"{file}.said"), 5)
        yield seen
        poll(lambda: "echo reply" in output_of(lab, host, "cat", file), 1)
        text = output_of(lab, host, "cat", file)
        seen |= {(kind, source, destination, int(ttl)) for ttl, source, destination, kind in _LINE.findall(text)}
    finally:
        lab.run(host, ("sh", "-c", f"kill {pid}; rm -f {file} {file}.said"))


def trace_with_tcpdump(lab: Lab, asked: Mesh) -> tuple[CommandResult, Mapping[tuple[str, str], Seen]]:
    with (
        independent_capture(lab, "host1", "eth0", "web") as inside1,
        independent_capture(lab, "host1", "docker0") as bridge1,
        independent_capture(lab, "host1", "eth0") as uplink1,
        independent_capture(lab, "host3", "eth0") as uplink3,
        independent_capture(lab, "host3", "docker0") as bridge3,
        independent_capture(lab, "host3", "eth0", "web") as inside3,
    ):
        ended = asked.dockmesh("trace", "host1:web", "host3:web", "--json")
    seen = (inside1, bridge1, uplink1, uplink3, bridge3, inside3)
    places = [(host, place) for host, place, *_rest in THERE]
    return ended, dict(zip(places, seen, strict=True))


def hops_by_place(document: Mapping[str, Any]) -> dict[tuple[str, str], Seen]:
    places: dict[tuple[str, str], Seen] = {}
    for kind in ("request", "reply"):
        for hop in document[kind]:
            seen = places.setdefault((hop["host"], hop["place"]), set())
            seen.add((kind, hop["source"], hop["destination"], hop["ttl"]))
    return places


def test_every_hop_matches_an_independent_tcpdump(joined: Mesh, lab: Lab) -> None:
    ended, seen = trace_with_tcpdump(lab, joined)
    assert ended.status == 0, ended
    assert hops_by_place(ended.document) == seen
    assert hop_tuples(ended.document["request"]) == THERE
    assert hop_tuples(ended.document["reply"]) == BACK
    assert not any(hop["translated"] for kind in ("request", "reply") for hop in ended.document[kind])


def test_the_hop_of_source_nat_matches_an_independent_tcpdump(
    shared_hosts: SharedHosts, lab: Lab, tmp_path: Path
) -> None:
    shared_hosts.ensure_joined()
    hiding = mesh.write_inventory(
        lab, tmp_path, {host: {} for host in shared_hosts.mesh.hosts}, mesh={"source_nat": True}
    )
    try:
        assert hiding.dockmesh("apply", "--yes").status == 0
        ended, seen = trace_with_tcpdump(lab, hiding)
    finally:
        assert shared_hosts.mesh.dockmesh("apply", "--yes").status == 0
    shared_hosts.check()
    assert ended.status == 0, ended
    assert hops_by_place(ended.document) == seen
    own, host1 = container_address(lab, "host1"), "192.168.18.128"
    assert [hop["source"] for hop in ended.document["request"]] == [own] * 2 + [host1] * 4
    assert [hop["destination"] for hop in ended.document["reply"]] == [host1] * 4 + [own] * 2
    marked = [(hop["host"], hop["place"]) for hop in ended.document["request"] if hop["translated"]]
    assert marked == [("host1", "uplink")]
    assert ended.document["code"] == "source-rewritten"
    assert re.search(rf"host1 .*\b{host1}\b.*\b{own}\b", ended.document["verdict"])


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that drops packets: its host, the captured hops of request and reply, and its code."""

    host: str
    do: str
    undo: str
    there: int
    back: int
    code: str


_LEG = "$(ip -o link | sed -n 's/^[0-9]*: \\(veth[^@]*\\)@.* master docker0 .*/\\1/p')"
_MUTE = "nsenter -n -t $(docker inspect -f '{{.State.Pid}}' web) sysctl -q net.ipv4.icmp_echo_ignore_all="
FAULTS = {
    "firewall": Fault(
        "host3",
        "iptables -I DOCKER-USER -p icmp -j DROP",
        "iptables -D DOCKER-USER -p icmp -j DROP",
        4,
        0,
        "lost-inside",
    ),
    "wrong next hop": Fault(
        "host1",
        "ip route add 10.128.32.0/20 via 192.168.18.129 metric 5",
        "ip route del 10.128.32.0/20 via 192.168.18.129 metric 5",
        3,
        0,
        "wrong-next-hop",
    ),
    "no way there": Fault(
        "host1",
        "ip route add unreachable 10.128.32.0/20 metric 5",
        "ip route del unreachable 10.128.32.0/20 metric 5",
        2,
        0,
        "rejected",
    ),
    "no way back": Fault(
        "host3",
        "ip route add unreachable 10.128.0.0/20 metric 5",
        "ip route del unreachable 10.128.0.0/20 metric 5",
        6,
        2,
        "rejected",
    ),
    "link down": Fault(
        "host3",
        f"ip link set {_LEG} down",
        f"ip link set {_LEG} up",
        4,
        0,
        "rejected",
    ),
    "no answer": Fault("host3", f"{_MUTE}1", f"{_MUTE}0", 6, 0, "no-answer"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_trace_ends_where_the_packet_is_lost(joined: Mesh, lab: Lab, fault: Fault) -> None:
    with temporarily(lab, fault.host, do=[fault.do], undo=[fault.undo]):
        ended = joined.dockmesh("trace", "host1", "host3", "--json")
    assert ended.status == 3, ended
    assert hop_tuples(ended.document["request"]) == THERE[: fault.there]
    assert hop_tuples(ended.document["reply"]) == BACK[: fault.back]
    assert ended.document["reached"] is False
    assert ended.document["code"] == fault.code, ended.document
    # The hops show where the packet is lost. The verdict names that host and the rejecting one.
    assert re.search(rf"\b{fault.host}\b", ended.document["verdict"]), ended.document
    assert ("host unreachable" in ended.document["verdict"]) == (fault.code == "rejected"), ended.document


def test_a_trace_changes_nothing_on_the_hosts(joined: Mesh, lab: Lab) -> None:
    hosts = ("host1", "host2", "host3")
    before = host_view.read_hosts(lab, hosts)
    assert joined.dockmesh("trace", "host2", "host3").status == 0
    assert difference(before, host_view.read_hosts(lab, hosts)) == ""


def test_a_temporary_namespace_replaces_a_missing_container(joined: Mesh, lab: Lab) -> None:
    with container_stopped(lab, "host1"):
        ended = joined.dockmesh("trace", "host1", "host3", "--json")
        assert poll(lambda: leftovers(lab, "host1") == "", _AT_ONCE_S), leftovers(lab, "host1")
    assert ended.status == 0, ended
    assert hop_tuples(ended.document["request"]) == THERE


def test_trace_with_sudo_to_another_network_and_without_docker(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    begin = "docker network create app && docker run --detach --init --name api --network app busybox sleep infinity"
    keys = {"docker": False, "prefix": None}
    hosts: dict[str, Mapping[str, Any]] = {host: {} for host in joined.hosts}
    sudo = mesh.write_inventory(lab, tmp_path, hosts | {"host4": keys}, connection={"user": "admin", "become": "sudo"})
    with temporarily(lab, "host2", do=[begin], undo=["docker rm --force api; docker network rm app"]):
        to_api = sudo.dockmesh("trace", "host1:web", "host2:api", "--json")
        bridge = output_of(lab, "host2", "docker", "network", "inspect", "app", "--format", "br-{{slice .Id 0 12}}")
    assert to_api.status == 0, to_api
    assert [(hop["interface"], hop["ttl"]) for hop in to_api.document["request"][3:]] == [
        ("eth0", 63),
        (bridge, 62),
        ("eth0", 62),
    ]
    # host4 has not joined, so it has no return route to the container.
    to_host4 = sudo.dockmesh("trace", "host1", "host4", "--json").document["request"]
    assert [(hop["host"], hop["place"], hop["ttl"]) for hop in to_host4][-1] == ("host4", "uplink", 63)


def test_saved_captures_contain_only_the_pings_and_tcpdump_reads_them(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "here"
    assert joined.dockmesh("trace", "host1", "host3", "--pcap", str(folder)).status == 0
    names = {f"{host}-{place}-{interface}.pcap" for host, place, interface, _ttl in THERE}
    assert {file.name for file in folder.iterdir()} == names
    for host, place, interface, ttl in THERE:
        file = folder / f"{host}-{place}-{interface}.pcap"
        # The hosts have tcpdump, which this machine may lack.
        capture = base64.b64encode(file.read_bytes()).decode()
        read = lab.run("host2", ("sh", "-c", "base64 -d | tcpdump -n -v -r -"), text=capture, check=True)
        packets = _LINE.findall(read.stdout)
        assert [kind for *_rest, kind in packets] == ["request", "reply"] * 3
        assert packets[0][:3] == (str(ttl), container_address(lab, "host1"), container_address(lab, "host3"))
    assert output_of(lab, "host1", "sh", "-c", "find / -xdev -name '*.pcap'") == ""


def test_a_host_without_tcpdump_and_tshark_is_reported(joined: Mesh, lab: Lab) -> None:
    with temporarily(
        lab, "host3", do=["mv /usr/bin/tcpdump /usr/bin/aside"], undo=["mv /usr/bin/aside /usr/bin/tcpdump"]
    ):
        ended = joined.dockmesh("trace", "host1", "host3", "--json")
        assert (ended.status, ended.document["code"]) == (3, "not-captured")
        assert re.search("host3: .*tcpdump.*tshark", ended.document["verdict"])
        assert leftovers(lab, "host1") == ""


def test_an_unknown_container_and_two_ends_on_one_host_are_errors(joined: Mesh) -> None:
    ended = joined.dockmesh("trace", "host1", "host3:nobody", "--json")
    assert (ended.status, ended.document["code"]) == (3, "not-captured")
    assert re.fullmatch("host3: .*nobody", ended.document["verdict"])
    assert joined.dockmesh("trace", "host1", "host1").status == 4
    assert joined.dockmesh("trace", "host1", "host7").status == 4


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_controller_leaves_no_capture_running(joined: Mesh, lab: Lab, how: signal.Signals) -> None:
    def capturing(host: str) -> bool:
        return "tcpdump" in leftovers(lab, host)

    with (
        container_stopped(lab, "host1"),
        temporarily(
            lab,
            "host3",
            do=["iptables -I DOCKER-USER -p icmp -j DROP"],
            undo=["iptables -D DOCKER-USER -p icmp -j DROP"],
        ),
    ):
        with subprocess.Popen(
            joined.argv("trace", "host1", "host3"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=joined.environment(),
        ) as process:
            assert poll(lambda: capturing("host1") and capturing("host3"), 10)
            process.send_signal(how)
        # A killed controller cannot end it, so the hosts end it by themselves.
        within_s = _WITHIN_S if how is signal.SIGKILL else _AT_ONCE_S
        assert poll(lambda: (leftovers(lab, "host1"), leftovers(lab, "host3")) == ("", ""), within_s), leftovers(
            lab, "host1"
        )
        assert output_of(lab, "host1", "sh", "-c", "systemctl list-units --state=failed --no-legend 'dockmesh*'") == ""
