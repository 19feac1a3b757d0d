"""What is asked of the two hosts of a trace, and how their answers are read."""

from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from builders import FLEET, HOST1, HOST3, fleet, host, run_shell, section
from traces import FOUND, POINTS, QUESTION, WEB1

from dockmesh.core.host_output import split
from dockmesh.core.trace import script
from dockmesh.core.trace.model import Endpoint, EndpointAddress, parse_endpoint, trace_query
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, UsageError
from dockmesh.pipeline import TEMPLATES

KVM = host("kvm", "192.168.18.140", "10.9.0.0/24", docker=False)
BARE = host("db", "192.168.18.141", docker=False)
BEGUN = "container eth0 -\nbridge docker0 02:42:02:52:38:62\nuplink eth0 02:00:c0:a8:12:80"
_TELL = "{}() {{ printf '%s\\0' \"$@\"; }}"


def call_arguments(asked: str, verb: str) -> list[str]:
    """The words with which a generated script calls one of trace.sh's, as a real shell takes them."""
    own = asked.replace(TEMPLATES.output, "").replace(TEMPLATES.probe, "").replace(TEMPLATES.trace, "")
    stubs = f'run_section() {{ shift; [ "$1" = true ] || "$@"; }}\n{_TELL.format(verb)}\nrelease_namespace() {{ :; }}\n'
    return run_shell(stubs + own).split("\0")[:-1]


def host_output(**said: str | tuple[int, str]) -> str:
    return "".join(section(name.replace("__", "."), text) for name, text in said.items()) + section("end", "")


def test_both_hosts_capture_echoes_of_one_size_and_the_errors_about_them() -> None:
    words = call_arguments(script.begin_script(QUESTION, FOUND, HOST1, TEMPLATES), "start_captures")
    assert words[:3] == ["0123456789ab", "30", "200"]
    assert words[3] == (
        "icmp and ((ip[2:2] = 335 and (icmp[0] = 8 or icmp[0] = 0))"
        " or (icmp[10:2] = 335 and (icmp[0] = 3 or icmp[0] = 11)))"
    )
    assert words[4:] == ["7", "10.128.0.2", "192.168.18.130", "10.128.32.2"]
    assert call_arguments(script.begin_script(QUESTION, FOUND, HOST3, TEMPLATES), "start_captures")[4:] == [
        "8",
        "10.128.32.2",
        "192.168.18.128",
        "10.128.0.2",
    ]


def test_three_pings_of_that_size_go_from_the_source_to_the_target() -> None:
    words = call_arguments(script.ping_script(QUESTION, FOUND, TEMPLATES), "ping_from")
    assert words == ["7", "3", "0.2", "3", "307", "10.128.0.2", "10.128.32.2"]


def test_a_namespace_that_was_made_for_the_trace_is_released_and_a_container_is_not() -> None:
    held, running = EndpointAddress(WEB1, 7, held=True), EndpointAddress(WEB1, 7)
    assert "release_namespace 7" in script.collect_script(QUESTION, held, TEMPLATES)
    assert "release_namespace 7" not in script.collect_script(QUESTION, running, TEMPLATES)
    assert call_arguments(script.collect_script(QUESTION, held, TEMPLATES), "collect_captures") == ["0123456789ab"]


def test_a_host_alone_is_the_container_that_status_probes_held_no_longer_than_the_captures() -> None:
    asked = script.find_script(Endpoint(HOST1), TEMPLATES, offset=3)
    assert "run_section target container_target 30 10.128.0.1/24 - " in asked
    said = split(host_output(addresses="", addresses6="", mesh_routes="", target="10.128.0.250 - 99 namespace 1500"))
    assert script.parse_endpoint_address(Endpoint(HOST1), said) == EndpointAddress(
        IPv4Address("10.128.0.250"), 99, held=True
    )


def test_a_host_without_docker_is_itself_by_its_address_in_the_prefix_or_else_its_own() -> None:
    said = split(
        host_output(
            addresses="3: br0    inet 10.9.0.1/24 brd 10.9.0.255 scope global br0", addresses6="", mesh_routes=""
        )
    )
    assert script.parse_endpoint_address(Endpoint(KVM), said) == EndpointAddress(IPv4Address("10.9.0.1"))
    assert script.parse_endpoint_address(Endpoint(BARE), said) == EndpointAddress(BARE.underlay)


def test_a_containers_address_in_the_hosts_prefix_comes_first() -> None:
    web = Endpoint(HOST1, "web")
    for listed, address in (("172.30.0.2\n10.128.1.2", "10.128.1.2"), ("172.30.0.2\n172.31.0.2", "172.30.0.2")):
        said = split(host_output(container=f"77\n{listed}"))
        assert script.parse_endpoint_address(web, said) == EndpointAddress(IPv4Address(address), 77)


def test_a_container_in_the_hosts_own_network_is_the_host() -> None:
    assert script.parse_endpoint_address(Endpoint(HOST1, "web"), split(host_output(container="0"))) == EndpointAddress(
        HOST1.underlay
    )


@pytest.mark.parametrize(
    ("said", "told_so"),
    [
        ((1, "there is no container web"), "there is no container web"),
        ("77", "no address"),
        ("x", "container"),
        ("77\n10.0.0.999", "container"),
    ],
)
def test_a_container_that_cannot_be_traced_is_told(said: str | tuple[int, str], told_so: str) -> None:
    with pytest.raises(HostError, match=told_so):
        script.parse_endpoint_address(Endpoint(HOST1, "web"), split(host_output(container=said)))


def test_points_are_read_with_what_cannot_be_captured_on() -> None:
    assert script.parse_points(HOST1, split(host_output(points=BEGUN))) == POINTS[:3]
    failed = script.parse_points(HOST1, split(host_output(points=BEGUN.replace(":62", ":62 tcpdump: \x1b[31mdown"))))
    assert failed[1] == replace(POINTS[1], error="tcpdump: down")


@pytest.mark.parametrize(
    "said",
    [
        (1, "neither tcpdump nor tshark is there: install tcpdump"),
        "container eth0 - tcpdump: permission denied",
        "container eth0",
        "elsewhere eth0 -",
        "uplink ../../etc/x -",
        "uplink eth0 00:11",
        "uplink averyveryverylongname -",
    ],
)
def test_points_that_are_none_or_take_nothing_are_refused(said: str | tuple[int, str]) -> None:
    with pytest.raises(HostError):
        script.parse_points(HOST1, split(host_output(points=said)))


def test_captures_are_those_of_the_points_by_number() -> None:
    files = [b"one", b"", b"three"]
    said = split(host_output(**{f"capture__{n}": b64encode(file).decode() for n, file in enumerate(files, 1)}))
    failed = (POINTS[0], replace(POINTS[1], error="down"), POINTS[2])
    assert [each.pcap for each in script.parse_captures(failed, said)] == files


@pytest.mark.parametrize(("said", "why"), [({}, "trace again"), ({"capture__1": "no base64!"}, "capture.1")])
def test_captures_that_are_missing_or_garbled_are_told(said: dict[str, str], why: str) -> None:
    with pytest.raises(HostError, match=why):
        list(script.parse_captures(POINTS[:1], split(host_output(**said))))


def test_ends_are_hosts_or_containers_of_hosts() -> None:
    assert parse_endpoint(FLEET, "host1") == Endpoint(HOST1)
    assert parse_endpoint(FLEET, "host1:my_web.1-a") == Endpoint(HOST1, "my_web.1-a")
    assert str(parse_endpoint(FLEET, "host1:web")) == "host1:web"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("host9", "did you mean"),
        ("host1:", "no container can be called so"),
        ("host1:-f", "no container can be called so"),
        ("host1:$(reboot)", "no container can be called so"),
        ("host1:a b", "no container can be called so"),
        ("kvm:web", "has no Docker"),
        ("", "no host"),
    ],
)
def test_what_is_no_end_is_refused_before_anyone_is_contacted(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_endpoint(fleet(*FLEET.hosts, KVM), text)


def test_two_ends_on_one_host_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        trace_query(FLEET, "host1:a", "host1:b", run="0", size=100)
    assert caught.value.code == UsageCode.SAME_HOST
    assert [end for end in ("'host1:a'", "'host1:b'") if end not in str(caught.value)] == []
