"""What of a pool the hosts have already, read from answers of real hosts."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from builders import SectionOutput, facts, fleet, host, section_text
from refusals import missing_facts

from dockmesh.core.allocation.used_networks import used_networks
from dockmesh.core.model import Settings

ANY = "10.0.0.0/8"


def networks(pool: str, changes: Mapping[str, SectionOutput] | None = None, *, docker: bool = True) -> dict[str, str]:
    one = host("host2", "192.168.18.129", docker=docker)
    mesh = replace(fleet(one), settings=Settings(pool=IPv4Network(pool)))
    return {
        str(each.network): each.description
        for each in used_networks(mesh, {"host2": facts("trixie_fresh", changes, of=one)})
    }


def with_route(line: str) -> Mapping[str, SectionOutput]:
    return {"routes": f"{section_text('trixie_fresh', 'routes')}\n{line}"}


def test_lans_are() -> None:
    assert networks("192.168.0.0/16").keys() == {"192.168.16.0/20"}


def test_docker0_moves_away_and_is_not() -> None:
    assert networks("172.16.0.0/12") == {}


def test_but_without_docker_nobody_moves_it() -> None:
    assert networks("172.16.0.0/12", docker=False).keys() == {"172.17.0.0/16"}


def test_networks_of_compose_are_and_their_names_are_told() -> None:
    shop = '["shop_default","bridge",{},[{"Subnet":"10.128.0.0/24"}],"0123456789abcdef"]'
    changes = {"docker_networks": f"{section_text('trixie_fresh', 'docker_networks')}\n{shop}"}
    ((prefix, what),) = networks(ANY, changes).items()
    assert prefix == "10.128.0.0/24"
    assert missing_facts(what, "10.128.0.0/24 shop_default host2") == []


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("10.4.0.0/16 via 192.168.18.1 dev eth0 proto static", True),
        ("10.5.0.0/16 dev tun0 scope link", True),
        ("unreachable 10.6.0.0/16 proto static metric 9", True),
        # A VPN that has all of the pool on-link: whatever is drawn would take addresses from it.
        ("10.0.0.0/8 dev tun0 scope link", True),
        # Ways out: what is more specific may stand beside them.
        ("10.0.0.0/8 via 192.168.18.1 dev eth0 proto static", False),
        ("0.0.0.0/1 dev tun0", False),
        ("blackhole 10.0.0.0/8 proto static", False),
        ("10.7.0.0/20 via 192.168.18.128 dev eth0 proto 201 metric 4201", False),
    ],
)
def test_routes_of_others_into_the_pool_are(line: str, kept: bool) -> None:
    assert bool(networks(ANY, with_route(line))) is kept
