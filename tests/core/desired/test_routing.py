"""The routes of the full mesh."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from builders import fleet, host
from hypothesis import given
from strategies import fleets

from dockmesh.core.desired.routing import is_on_link, mesh_routes
from dockmesh.core.facts.iproute import PeerRoute, PeerRoutes
from dockmesh.core.model import Fleet
from dockmesh.core.peers import peers
from dockmesh.core.state.resources import Route

ON_LINK = PeerRoute("eth0", None, local=False)
OFF_LINK = PeerRoute("eth0", IPv4Address("192.168.18.1"), local=False)
ETH1 = PeerRoute("eth1", None, local=False)
OWN = PeerRoute("lo", None, local=True)


@given(fleets())
def test_every_host_has_one_route_to_every_peer_with_a_prefix(drawn: Fleet) -> None:
    for me in drawn.hosts:
        peer_routes = PeerRoutes([(peer.underlay, ON_LINK) for peer in drawn.hosts])
        with_prefix = sorted((peer.prefix, peer.underlay) for peer in drawn.hosts if peer.prefix and peer != me)
        assert mesh_routes(drawn, me, peer_routes) == tuple(Route(*each, "eth0") for each in with_prefix)


@pytest.mark.parametrize(("peer_route", "usable"), [(ON_LINK, True), (OFF_LINK, False), (OWN, False), (None, False)])
def test_only_a_neighbour_is_a_next_hop(peer_route: PeerRoute | None, usable: bool) -> None:
    assert is_on_link(peer_route) == usable


def test_a_peer_without_prefix_or_route_gets_no_route() -> None:
    mine, bare = host("a", "192.168.0.1", "10.0.0.0/24"), host("b", "192.168.0.2", docker=False)
    unreachable, near = host("c", "192.168.0.3", "10.3.0.0/24"), host("d", "192.168.0.4", "10.4.0.0/24")
    joined = fleet(mine, bare, unreachable, near)
    routes = mesh_routes(joined, mine, PeerRoutes([(bare.underlay, ON_LINK), (near.underlay, ETH1)]))
    assert routes == (Route(IPv4Network("10.4.0.0/24"), near.underlay, "eth1"),)
    assert list(peers(joined, unreachable)) == [mine, bare, near]
