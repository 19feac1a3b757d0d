"""Networks in use in a pool, from recorded outputs of hosts."""

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


def test_a_lan_is_used() -> None:
    assert networks("192.168.0.0/16").keys() == {"192.168.16.0/20"}


def test_docker0_of_a_docker_host_is_not_used() -> None:
    assert networks("172.16.0.0/12") == {}


def test_docker0_of_a_host_without_docker_is_used() -> None:
    assert networks("172.16.0.0/12", docker=False).keys() == {"172.17.0.0/16"}


def test_a_docker_network_is_used_and_its_description_names_it() -> None:
    shop = '["shop_default","bridge",{},[{"Subnet":"10.128.0.0/24"}],"0123456789abcdef"]'
    changes = {"docker_networks": f"{section_text('trixie_fresh', 'docker_networks')}\n{shop}"}
    ((prefix, description),) = networks(ANY, changes).items()
    assert prefix == "10.128.0.0/24"
    assert missing_facts(description, "10.128.0.0/24 shop_default host2") == []


@pytest.mark.parametrize(
    ("line", "used"),
    [
        ("10.4.0.0/16 via 192.168.18.1 dev eth0 proto static", True),
        ("10.5.0.0/16 dev tun0 scope link", True),
        ("unreachable 10.6.0.0/16 proto static metric 9", True),
        # A VPN with the whole pool on-link: any new prefix would hide some of its addresses.
        ("10.0.0.0/8 dev tun0 scope link", True),
        # Default-like routes: more specific routes may exist beside them.
        ("10.0.0.0/8 via 192.168.18.1 dev eth0 proto static", False),
        ("0.0.0.0/1 dev tun0", False),
        ("blackhole 10.0.0.0/8 proto static", False),
        ("10.7.0.0/20 via 192.168.18.128 dev eth0 proto 201 metric 4201", False),
    ],
)
def test_a_foreign_route_into_the_pool_is_used(line: str, used: bool) -> None:
    assert bool(networks(ANY, with_route(line))) is used
