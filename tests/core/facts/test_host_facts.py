"""The facts of a host, from recordings of three Docker generations and from crafted output."""

import json
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from builders import FLEET, GENERATIONS, HOST2, HOST3, NOW, WIDE, SectionOutput, facts, host, recording, section_text
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.desired.docker_pools import pools
from dockmesh.core.desired.host_state import desired
from dockmesh.core.facts.host_facts import parse_facts
from dockmesh.core.facts.iproute import KernelRoute, PeerRoute, parse_kernel_route
from dockmesh.core.names import DAEMON_JSON
from dockmesh.core.state.codec import dump_pools, dump_state, load_pools, load_state
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    Forwarding,
    NftTable,
    Route,
    StrayRoute,
)
from dockmesh.core.state.steps import shell_steps
from dockmesh.errors import HostError, NoDockerError
from dockmesh.pipeline import TEMPLATES

VERSIONS = {"bookworm": "20.10", "trixie": "26.1", "forky": "28.5"}
ETH0 = [("eth0", IPv4Interface("192.168.18.130/20"))]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_fresh_host_has_no_resource_of_dockmesh(generation: str) -> None:
    found = facts(f"{generation}_fresh")
    assert found.docker is not None
    assert found.docker.version.startswith(VERSIONS[generation])
    assert found.docker.firewall_backend == "iptables"
    assert not found.docker.rootless
    assert [container.name for container in found.docker.containers] == ["web"]
    assert {network.name for network in found.docker.networks} == {"bridge", "host", "none"}
    assert found.actual.resources == (DockerNetworking(IPv4Interface("172.17.0.1/16")), Forwarding(6, on=False))
    assert all(way == PeerRoute("eth0", None, local=False) for way in found.peer_routes.values())
    assert {"ip", "iptables", "nft", "systemd-run", "flock"} <= found.tools
    assert found.ip_forward


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_joined_host_owns_its_routes_rules_and_file(generation: str) -> None:
    me = FLEET.host(GENERATIONS[generation])
    found = facts(f"{generation}_joined")
    routes = [resource for resource in found.actual.resources if isinstance(resource, Route)]
    assert routes == [
        Route(peer.prefix, peer.underlay, "eth0") for peer in FLEET.hosts if peer.prefix and peer is not me
    ]
    assert all(route.protocol == "kernel" for route in found.foreign_routes)
    assert found.file(DAEMON_JSON) == desired(FLEET, me, found, WIDE, TEMPLATES).by_key()["file", DAEMON_JSON]
    assert found.actual.docker == DockerNetworking(me.bridge, pools(FLEET, me, found))
    wanted = desired(FLEET, me, found, WIDE, TEMPLATES)
    assert found.actual.of(AcceptRules) == wanted.of(AcceptRules)
    assert found.actual.of(NftTable) == wanted.of(NftTable)


def test_a_crowded_host_is_read_completely() -> None:
    found = facts("crowded", of=HOST3)
    routes = {str(route.prefix): route for route in found.foreign_routes}
    hop, eth0 = IPv4Address("192.168.18.128"), "eth0"
    default = IPv4Network("0.0.0.0/0")
    assert routes["0.0.0.0/0"] == KernelRoute(default, None, None, "static", 0, "multipath")
    assert routes["10.70.0.0/16"] == KernelRoute(IPv4Network("10.70.0.0/16"), None, "br9", "boot", 0)
    assert routes["10.72.0.0/16"] == KernelRoute(IPv4Network("10.72.0.0/16"), hop, eth0, "boot", 0)
    own = IPv4Address("192.168.18.130")
    assert routes["10.73.0.0/16"] == KernelRoute(IPv4Network("10.73.0.0/16"), hop, eth0, "bird", 32, source=own)
    assert routes["10.74.0.0/16"].next_hop == hop
    assert routes["10.67.0.0/16"] == KernelRoute(IPv4Network("10.67.0.0/16"), None, None, "boot", 5, "unreachable")
    assert {"10.66.0.0/16", "10.68.0.0/16", "10.69.0.0/16", "10.71.0.1/32", "10.8.0.5/32"} <= set(routes)
    assert set(found.addresses) >= {
        *ETH0,
        ("eth0", IPv4Interface("192.168.18.200/20")),
        ("eth0", IPv4Interface("192.168.19.7/20")),
        ("br9", IPv4Interface("10.8.0.6/32")),
    }
    assert found.docker is not None
    assert [(each.name, each.auto_remove, each.address) for each in found.docker.containers] == [
        ("passing", True, None),
        ("web", False, IPv4Address("10.128.32.2")),
    ]
    app = next(network for network in found.docker.networks if network.name == "app")
    assert (app.device, app.prefixes) == ("br-8e947a52e27d", (IPv4Network("172.17.0.0/16"),))
    assert found.file(DAEMON_JSON) == File(
        DAEMON_JSON,
        '{\n    "debug": false,\n    "bip": "10.128.32.1/24",\n    "log-opts": {"max-size": "10m"}\n}\n',
        "640",
    )


def test_a_container_needs_those_whose_namespaces_it_uses() -> None:
    modes = '"container:1f","container:2f","host"'
    rows = ['["3","/user",false,{},null,' + modes + "]", '["4","/web",false,{},null,"bridge","private",""]']
    found = facts("trixie_fresh", {"docker_containers": "\n".join(rows)}).docker
    assert found is not None
    assert [each.needs for each in found.containers] == [{"1f", "2f"}, frozenset()]


def test_daemon_json_is_the_text_of_the_file_or_none() -> None:
    assert json.loads(facts("crowded", of=HOST3).daemon_json or "")["bip"] == "10.128.32.1/24"
    fresh = facts("trixie_fresh")
    assert fresh.docker is not None
    assert (fresh.file(DAEMON_JSON), fresh.daemon_json) == (None, None)


def test_user_networks_exclude_docker0() -> None:
    found = facts("crowded", of=HOST3)
    assert found.docker_devices >= {"docker0", "br-8e947a52e27d"}
    names = {network.name for network in found.user_networks}
    assert "app" in names
    assert "bridge" not in names


def test_a_host_without_docker_has_no_docker_networks() -> None:
    found = facts("no_docker", of=host("kvm", "192.168.18.131", docker=False))
    assert (found.docker_devices, found.user_networks) == ({"docker0"}, ())


@pytest.mark.parametrize(
    ("line", "default", "on_link"),
    [
        ("default via 192.168.18.1 dev eth0", True, False),
        ("0.0.0.0/1 via 10.8.0.5 dev tun0", True, False),
        ("128.0.0.0/1 dev tun0", True, True),
        ("64.0.0.0/2 dev tun0", False, True),
        ("10.9.0.0/24 dev br0", False, True),
        ("blackhole 10.9.0.0/24", False, False),
    ],
)
def test_a_route_is_default_or_on_link(line: str, default: bool, on_link: bool) -> None:
    found = parse_kernel_route(line)
    assert (found.is_default, found.on_link) == (default, on_link)


def test_old_iproute2_gives_the_same_facts() -> None:
    old, new = facts("old_iproute2", of=FLEET.hosts[0]), facts("bookworm_joined")
    assert old.actual == new.actual
    assert old.peer_routes == new.peer_routes
    routes = {str(route.prefix): route for route in old.foreign_routes}
    assert (routes["0.0.0.0/0"].next_hop, routes["0.0.0.0/0"].device) == (None, None)
    assert routes["10.67.0.0/16"].metric == 5
    assert routes["169.254.0.0/16"].metric == 1002
    assert ("tun0", IPv4Interface("10.8.0.6/32")) in old.addresses
    assert ("eth0", IPv4Interface("192.168.18.200/20")) in old.addresses


@pytest.mark.parametrize(
    ("name", "code", "parts"),
    [
        ("not_root", "not-root", ["65534", "become: sudo"]),
        ("busybox_ip", "not-iproute2", ["BusyBox v1.35.0", "iproute2"]),
        ("no_docker", "docker-missing", ["docker: false"]),
        ("bookworm_stopped", "docker-stopped", ["docker.service is not active", "systemctl start docker"]),
        ("trixie_stopped", "docker-stopped", ["docker.service is not active", "systemctl start docker"]),
        ("forky_stopped", "docker-stopped", ["docker.service is not active", "systemctl start docker"]),
        ("snap", "docker-snap", ["docker-ce"]),
        ("snap_alone", "docker-snap", ["docker-ce"]),
    ],
)
def test_an_unsupported_host_is_refused_with_the_remedy(name: str, code: str, parts: list[str]) -> None:
    """The error quotes the host and names the command or key of the fix."""
    with pytest.raises(HostError) as raised:
        facts(name)
    assert raised.value.code == code
    assert [part for part in parts if part not in str(raised.value)] == []
    assert isinstance(raised.value, NoDockerError) == (code == "docker-missing")


NO_REPLY = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


@pytest.mark.parametrize(
    "info",
    [
        (0, json.dumps({"ServerErrors": [NO_REPLY], "ClientInfo": {"Debug": False}})),  # Docker 20.10
        (0, f"{NO_REPLY}\n{json.dumps({'ID': '', 'Containers': 0, 'ServerErrors': [NO_REPLY]})}"),  # Docker 26.1
        (1, f"{json.dumps({'ID': '', 'Containers': 0})}\n{NO_REPLY}"),  # Docker 28.5
    ],
)
def test_an_active_docker_that_does_not_reply_is_refused(info: tuple[int, str]) -> None:
    with pytest.raises(HostError) as raised:
        facts("trixie_fresh", {"docker_info": info})
    assert raised.value.code == "docker-stopped"
    assert NO_REPLY in str(raised.value)


@pytest.mark.parametrize("said", ["OpenRC", "runit", ""])
def test_a_host_without_systemd_is_refused(said: str) -> None:
    with pytest.raises(HostError) as raised:
        facts("trixie_fresh", {"systemd": (1, said)})
    assert raised.value.code == "no-systemd"
    assert said in str(raised.value)


def test_on_alpine_the_error_is_the_missing_systemd() -> None:
    with pytest.raises(HostError) as raised:
        facts("busybox_ip", {"systemd": (1, "OpenRC")})
    assert raised.value.code == "no-systemd"


@pytest.mark.parametrize(
    ("section", "said", "code"),
    [
        ("filter", (3, "iptables: table filter is incompatible"), "firewall-incompatible"),
        ("filter6", (3, "ip6tables: table nat is incompatible"), "firewall-incompatible"),
        ("filter", (1, "iptables-save: it is broken"), "firewall-unreadable"),
    ],
)
def test_an_unreadable_firewall_is_not_an_empty_one(section: str, said: tuple[int, str], code: str) -> None:
    with pytest.raises(HostError) as raised:
        facts("trixie_joined", {section: said})
    assert raised.value.code == code
    assert said[1] in str(raised.value), "quoted"


def test_incomplete_output_of_ip_is_refused() -> None:
    with pytest.raises(HostError) as raised:
        facts("trixie_joined", {"routes": (1, "")})
    assert raised.value.code == "routes-unreadable"


def test_a_joined_docker_host_is_refused_with_docker_false() -> None:
    with pytest.raises(HostError) as raised:
        facts("trixie_joined", of=host("host2", "192.168.18.129", docker=False))
    assert raised.value.code == "joined-with-docker"


def test_an_ipv4_host_does_not_need_ip6tables() -> None:
    assert facts("trixie_joined", {"filter6": (1, "can't initialize ip6tables")}).docker is not None


def test_docker_down_during_a_change_names_the_run() -> None:
    with pytest.raises(HostError) as raised:
        facts("forky_stopped", {"pending": "run me@here since noon"})
    assert raised.value.code == "change-pending"
    assert "me@here since noon" in str(raised.value)
    assert "systemctl" not in str(raised.value)


def test_a_host_without_docker_is_read_with_docker_false() -> None:
    found = facts("no_docker", of=host("host2", "192.168.18.129", docker=False))
    assert found.docker is None
    assert found.actual.resources == (Forwarding(6, on=False),)


def test_rootless_docker_is_detected() -> None:
    rootless = facts("rootless").docker
    assert rootless is not None
    assert rootless.rootless


def test_section_headers_inside_text_stay_text() -> None:
    found = facts("hostile")
    assert found.basis == facts("trixie_fresh").basis
    assert "\x1b[2J[red]evil" in {device for device, _address in found.addresses}


def test_only_rules_with_the_comment_are_owned() -> None:
    own = "-A DOCKER-USER -d 10.128.16.0/20 -m comment --comment dockmesh -j ACCEPT"
    found = facts("trixie_fresh", {"filter": f":DOCKER-USER -\n{own}\n{own}"}).actual.of(AcceptRules)
    rules = (own.removeprefix("-A DOCKER-USER "),)
    assert found == (AcceptRules("filter", "DOCKER-USER", rules * 2),)
    late = {"filter": f":DOCKER-USER -\n{own}\n# late DOCKER-USER"}
    assert facts("trixie_fresh", late).actual.of(AcceptRules) == (
        AcceptRules("filter", "DOCKER-USER", rules, first=False),
    )


def wrapped(text: str) -> str:
    """The lines of base64."""
    return "\n".join(text[at : at + 76] for at in range(0, len(text), 76))


@pytest.mark.parametrize(
    ("said", "code", "part"),
    [
        ("644\n/w==", "file-not-text", "byte 0"),
        (f"644\n{wrapped('QUFB' * 350_000)}", "file-too-large", "1 MiB"),
        ("644\nno base64!", "answer-unreadable", ""),
        ((1, "daemon.json leads to /dev/null"), "file-unreadable", "/dev/null"),
    ],
)
def test_an_unreadable_daemon_json_is_refused(said: SectionOutput, code: str, part: str) -> None:
    with pytest.raises(HostError) as raised:
        facts("trixie_fresh", {"daemon.json": said})
    assert raised.value.code == code
    assert "daemon.json" in str(raised.value)
    assert part in str(raised.value)


def test_files_with_a_line_per_peer_may_be_larger() -> None:
    found = facts("trixie_fresh", {"previous.json": f"600\n{wrapped('QUFB' * 700_000)}"})
    assert found.previous
    assert len(found.previous) == 2_100_000
    with pytest.raises(HostError) as raised:
        facts("trixie_fresh", {"previous.json": f"600\n{wrapped('QUFB' * 2_800_000)}"})
    assert raised.value.code == "file-too-large"
    assert "previous.json" in str(raised.value)
    assert "8 MiB" in str(raised.value)


NAMES = [line.split()[0][1:] for line in recording("trixie_joined").split("\n") if line.startswith("@")]
WORDS = st.sampled_from(
    ["via", "dev", "metric", "proto", "default", "10.0.0.0/8", "x", "9" * 5000, "[" * 3000, "{}", "-"]
)


@given(st.text() | st.lists(st.sampled_from(recording("trixie_joined").split("\n"))).map("\n".join))
def test_any_output_gives_facts_or_a_host_error(output: str) -> None:
    parse_or_refuse(output)


@given(st.sampled_from(NAMES), st.integers(0, 255), st.text() | st.lists(WORDS).map(" ".join))
def test_any_damaged_section_gives_facts_or_a_host_error(name: str, status: int, text: str) -> None:
    parse_or_refuse(recording("trixie_joined", {name: (status, text)}))
    parse_or_refuse(recording("trixie_joined", {name: None}))


def parse_or_refuse(output: str) -> None:
    try:
        parse_facts(HOST2, output, NOW)
    except HostError as error:
        assert str(error).isprintable()  # noqa: PT017 (any other exception fails the test)


def test_after_a_reload_docker_28_pools_come_from_the_file() -> None:
    docker_info = json.loads(section_text("forky_joined", "docker_info"))
    docker_info["DefaultAddressPools"] = [{"Base": "invalid Prefix", "Size": 24}] * 4
    assert facts("forky_joined", {"docker_info": json.dumps(docker_info)}).actual == facts("forky_joined").actual


def test_host_bits_of_networks_and_pools_are_read_and_kept_for_docker() -> None:
    """Docker before 26 accepts such a subnet, and before 28 reports such a pool as it is written."""
    network = json.dumps(["odd", "bridge", {}, [{"Subnet": "172.30.0.1/16"}], "abcdef0123456789"])
    docker_info = json.loads(section_text("bookworm_joined", "docker_info"))
    docker_info["DefaultAddressPools"] = [{"Base": "172.40.0.1/16", "Size": 24}]
    found = facts("bookworm_joined", {"docker_networks": network, "docker_info": json.dumps(docker_info)})
    (odd,) = found.user_networks
    assert odd.prefixes == (IPv4Network("172.30.0.0/16"),)
    assert found.actual.docker is not None
    (pool,) = found.actual.docker.pools
    assert (pool.base, pool.text) == (IPv4Network("172.40.0.0/16"), "172.40.0.1/16")
    assert [each.text for each in load_pools(dump_pools(found.actual.docker.pools))] == ["172.40.0.1/16"]
    restart = (Change(None, found.actual.docker),)
    assert "172.40.0.1/16 24;" in "".join(shell_steps(restart))


@pytest.mark.parametrize("name", ["docker_networks", "docker_containers"])
def test_a_failed_docker_listing_is_an_error(name: str) -> None:
    with pytest.raises(HostError):
        facts("forky_joined", {name: (1, "")})


def test_routes_that_dockmesh_does_not_write_are_stray() -> None:
    """The lines are those of iproute2 6.1 to 7.2."""
    first = "10.128.0.0/20 via 192.168.18.128 dev eth0 proto 201 metric 4201 "
    lines = (
        "10.128.0.0/20 tos 0x10 via 192.168.18.128 dev eth0 proto 201 metric 4201 ",
        first,
        "10.128.0.0/20 via 192.168.18.131 dev eth0 proto 201 metric 4201 linkdown ",
        "10.128.32.0/20 proto 201 metric 4201 \\\tnexthop via 10.9.9.9 dev eth0 weight 1 \\\tnexthop dev e1 weight 1",
        "blackhole 10.9.0.0/24 proto 201 metric 4201 ",
        "10.9.1.0/24 dev eth0 proto 201 scope link metric 4201 ",
        "10.9.2.0/24 via 192.168.18.128 dev eth0 proto 201 metric 7 ",
    )
    found = facts("trixie_joined", {"routes": "\n".join(lines)}).actual
    assert [str(each.next_hop) for each in found.of(Route)] == ["192.168.18.128"]
    assert [each.text for each in found.of(StrayRoute)] == [
        "10.128.0.0/20 tos 0x10 via 192.168.18.128 dev eth0 proto 201 metric 4201",
        "10.128.0.0/20 via 192.168.18.131 dev eth0 proto 201 metric 4201",
        "10.128.32.0/20 proto 201 metric 4201 nexthop via 10.9.9.9 dev eth0 weight 1 nexthop dev e1 weight 1",
        "blackhole 10.9.0.0/24 proto 201 metric 4201",
        "10.9.1.0/24 dev eth0 proto 201 scope link metric 4201",
    ]
    assert load_state(dump_state(found)) == found
