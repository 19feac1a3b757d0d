"""What can stay on hosts that shall be joined, and where their peers find them."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from itertools import combinations

import pytest
from builders import SectionOutput, facts, host, section_text
from hypothesis import given
from hypothesis import strategies as st
from refusals import missing_facts

from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Host, Login, Settings
from dockmesh.core.onboarding.propose import ProposedHost, propose
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, UsageError

_NETWORK = (
    '["{name}","bridge",{{"com.docker.network.bridge.name":"{device}"}},[{{"Subnet":"{prefix}"}}],"98ed32b737e6"]'
)
SETTINGS = Settings(pool=IPv4Network("10.128.0.0/12"), prefix_length=20)


def host_facts(
    name: str, lan: str, docker0: str, *, routes: str = "", network: str = "", more: str = ""
) -> tuple[Host, HostFacts]:
    """A host that SSH reaches by its name; `network` is a Docker network beside docker0, `more` another address."""
    bridge = IPv4Interface(docker0)
    networks = [section_text("trixie_fresh", "docker_networks").replace("172.17.0.0/16", str(bridge.network))]
    addresses = [f"2: eth0    inet {lan} scope global eth0", f"3: docker0    inet {docker0} scope global docker0"]
    if network:
        networks.append(_NETWORK.format(name="shop", device="br-shop", prefix=network))
        addresses.append(
            f"4: br-shop    inet {IPv4Network(network)[1]}/{IPv4Network(network).prefixlen} scope global x"
        )
    if more:
        addresses.append(f"5: eth1    inet {more} scope global eth1")
    said: Mapping[str, SectionOutput] = {
        "addresses": "\n".join(addresses),
        "docker_networks": "\n".join(networks),
        "routes": routes or "192.168.16.0/20 dev eth0 proto kernel scope link",
    }
    of = host(name, lan.split("/", maxsplit=1)[0])
    return of, facts("trixie_fresh", said, of=of)


def proposed(*hosts: tuple[Host, HostFacts | HostError], settings: Settings = SETTINGS) -> dict[str, ProposedHost]:
    found = {host.name: each for host, each in hosts}
    return {each.name: each for each in propose([of for of, _ in hosts], found, settings, file="init")}


def prefixes(*hosts: tuple[Host, HostFacts | HostError]) -> list[str]:
    return [f"{each.host.prefix}{' stays' * each.keeps_docker0}" for each in proposed(*hosts).values() if each.host]


def test_who_is_apart_from_everybody_stays_and_who_is_not_draws() -> None:
    assert prefixes(
        host_facts("a", "192.168.18.1/20", "172.17.0.1/16"),
        host_facts("b", "192.168.18.2/20", "172.18.0.1/16"),
        host_facts("c", "192.168.18.3/20", "172.17.0.1/16"),
        host_facts("d", "192.168.18.4/20", "172.17.8.1/24"),
    ) == ["10.128.0.0/20", "172.18.0.0/16 stays", "10.128.16.0/20", "10.128.32.0/20"]


def test_a_docker_network_of_another_host_is_in_the_way_and_one_of_its_own_is_not() -> None:
    own = host_facts("a", "192.168.18.1/20", "172.18.0.1/16", network="172.19.0.0/16")
    assert prefixes(own, host_facts("b", "192.168.18.2/20", "172.20.0.1/16")) == [
        "172.18.0.0/16 stays",
        "172.20.0.0/16 stays",
    ]
    assert prefixes(own, host_facts("b", "192.168.18.2/20", "172.19.5.1/24")) == [
        "172.18.0.0/16 stays",
        "10.128.0.0/20",
    ]


def test_a_lan_of_anybody_is_in_the_way() -> None:
    there = host_facts("b", "192.168.18.2/20", "172.20.0.1/16", more="172.18.3.4/24")
    assert prefixes(host_facts("a", "192.168.18.1/20", "172.18.0.1/16"), there) == [
        "10.128.0.0/20",
        "172.20.0.0/16 stays",
    ]


def test_a_route_of_anybody_is_in_the_way_unless_it_leads_to_that_very_host_or_out() -> None:
    first = host_facts("a", "192.168.18.1/20", "172.18.0.1/16")
    ways = {
        "172.18.0.0/16 via 192.168.18.1 dev eth0": "172.18.0.0/16 stays",
        "172.16.0.0/12 via 192.168.16.1 dev eth0": "172.18.0.0/16 stays",
        "default via 192.168.16.1 dev eth0": "172.18.0.0/16 stays",
        "172.18.0.0/16 via 192.168.16.1 dev eth0": "10.128.0.0/20",
        "172.18.9.0/24 via 192.168.16.1 dev eth0": "10.128.0.0/20",
        "172.16.0.0/12 dev vpn0 scope link": "10.128.0.0/20",
    }
    found = {way: prefixes(first, host_facts("b", "192.168.18.2/20", "172.20.0.1/16", routes=way))[0] for way in ways}
    assert found == ways


def test_what_is_drawn_is_clear_of_lans_networks_and_routes_of_all() -> None:
    busy = "10.128.32.0/20 via 192.168.16.1 dev eth0"
    assert prefixes(
        host_facts("a", "192.168.18.1/20", "172.17.0.1/16", network="10.128.0.0/24"),
        host_facts("b", "192.168.18.2/20", "172.17.0.1/16", routes=busy, more="10.128.16.5/24"),
    ) == ["10.128.48.0/20", "10.128.64.0/20"]


def test_a_docker0_that_no_prefix_can_be_draws() -> None:
    assert prefixes(host_facts("a", "192.168.18.1/20", "169.254.7.1/24")) == ["10.128.0.0/20"]


def test_peers_find_a_host_in_the_network_that_most_of_them_are_in() -> None:
    hosts = proposed(
        host_facts("a", "10.0.0.1/24", "172.17.0.1/16", more="192.168.18.1/20"),
        host_facts("b", "10.0.1.1/24", "172.17.0.1/16", more="192.168.18.2/20"),
        host_facts("c", "192.168.18.3/20", "172.17.0.1/16"),
        host_facts("d", "10.7.0.1/24", "172.17.0.1/16"),
    )
    assert {name: str(each.host and each.host.underlay) for name, each in hosts.items()} == {
        "a": "192.168.18.1",
        "b": "192.168.18.2",
        "c": "192.168.18.3",
        "d": "10.7.0.1",
    }


def test_of_two_networks_that_all_are_in_the_one_counts_by_which_they_are_reached() -> None:
    for lan, more in (("10.0.0.{}/24", "192.168.18.{}/20"), ("192.168.18.{}/20", "10.0.0.{}/24")):
        hosts = [host_facts(f"h{at}", lan.format(at), "172.17.0.1/16", more=more.format(at)) for at in (1, 2)]
        assert [str(each.lan) for each in proposed(*hosts).values()] == [str(IPv4Interface(lan.format(1)).network)] * 2


def test_two_machines_behind_one_address_cannot_both_be_written_and_none_is_lost_unsaid() -> None:
    first, second = (
        host_facts("a", "192.168.18.1/20", "172.18.0.1/16"),
        host_facts("b", "192.168.18.2/20", "172.19.0.1/16"),
    )
    login = Login("127.0.0.1", port=2222)
    found = proposed((replace(first[0], login=login), first[1]), (replace(second[0], login=login), second[1]))
    assert found["a"].host is not None
    assert missing_facts(found["b"].why or "", "127.0.0.1 a ~/.ssh/config") == []
    assert found["b"].intentional is False


_DOCKER0 = st.sampled_from(
    [
        "172.17.0.1/16",
        "172.18.0.1/16",
        "172.16.0.1/12",
        "10.128.0.1/24",
        "10.129.7.1/20",
        "192.168.18.7/29",
    ]
)


@given(st.lists(_DOCKER0, min_size=1, max_size=5))
def test_whatever_docker0_hosts_have_their_prefixes_are_apart_and_who_stays_is_as_it_was(docker0s: list[str]) -> None:
    found = proposed(*(host_facts(f"h{at}", f"192.168.18.{at}/20", each) for at, each in enumerate(docker0s, 1)))
    prefixes = [each.host.prefix for each in found.values() if each.host and each.host.prefix]
    lan = IPv4Network("192.168.16.0/20")
    assert len(prefixes) == len(docker0s)
    assert not any(one.overlaps(two) for one, two in combinations((*prefixes, lan), 2))
    assert all(
        str(each.host and each.host.bridge) == docker0
        for each, docker0 in zip(found.values(), docker0s, strict=True)
        if each.keeps_docker0
    )


def test_a_docker0_as_wide_as_the_pool_leaves_nothing_to_draw() -> None:
    wide = host_facts("h1", "192.168.18.1/20", "10.0.0.1/8")
    assert proposed(wide)["h1"].keeps_docker0
    others = (host_facts(f"h{at}", f"192.168.18.{at}/20", "172.17.0.1/16") for at in (2, 3))
    with pytest.raises(UsageError) as raised:
        proposed(wide, *others)
    assert raised.value.code == "pool-exhausted"


def test_who_could_not_be_read_is_left_out_with_the_reason_and_keeps_nobody_from_theirs() -> None:
    lost = (host("b", "192.168.18.2"), HostError("does not answer", code=HostErrorCode.CONNECT_TIMEOUT))
    found = proposed(host_facts("a", "192.168.18.1/20", "172.17.0.1/16"), lost)
    assert (found["b"].host, found["b"].why) == (None, "does not answer")
    assert found["a"].keeps_docker0
