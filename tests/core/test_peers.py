"""Hosts of a fleet share the tables of their peers, and different functions never share one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from itertools import product
from operator import itemgetter
from typing import Any

import pytest
from builders import FLEET, WIDE, facts, with_ipv6
from hypothesis import given
from hypothesis import strategies as st
from strategies import fleets

from dockmesh.core.addresses import FAMILIES, Family, Network, sort_key
from dockmesh.core.desired.firewall import FirewallOptions, nft_table
from dockmesh.core.desired.host_state import desired
from dockmesh.core.desired.routing import mesh_routes, underlays
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import PeerRoute, PeerRoutes
from dockmesh.core.model import Allow, Fleet, Host, Settings
from dockmesh.core.peers import peers
from dockmesh.core.planning.plan import plan_host
from dockmesh.core.planning.prefix_index import PrefixIndex
from dockmesh.core.planning.transaction import transaction_script
from dockmesh.core.state.resources import HostState
from dockmesh.pipeline import TEMPLATES

ALLOWED = (None, (), (Allow("tcp", 80, 80),))
HOSTS = tuple(
    replace(
        with_ipv6(
            me, f"fd00:18::c0a8:{0x1280 + at:x}", f"fd00:10:128:{at * 256:x}::/56", f"fd00:10:128:{at * 256:x}::1/64"
        ),
        allow=allow,
    )
    for at, (me, allow) in enumerate(zip(FLEET.hosts, ALLOWED, strict=True))
)
# One object per device, as in facts: identical objects show that one route leads to all peers.
LINKS = {device: PeerRoute(device, None, local=False) for device in ("eth0", "eth1", "eth2")}
RECORDED = ("bookworm_dual", "trixie_dual", "forky_dual", "nftables_joined")
TOOLS = (frozenset({"nft", "iptables", "ip6tables"}), frozenset({"iptables", "ip6tables"}), frozenset({"iptables"}))


def mesh(settings: Settings | None = None) -> Fleet:
    """The fleet, without cached tables."""
    return Fleet(settings or Settings(), HOSTS)


def facts_of(me: Host, recorded: str, device: str | None, tools: frozenset[str]) -> HostFacts:
    """Facts of a host with all peers on one device; None puts each peer on another device."""
    routes = PeerRoutes(
        *(
            [
                (stack.underlay, LINKS[device or f"eth{at}"])
                for at, peer in enumerate(HOSTS)
                if peer != me and (stack := peer.network(family))
            ]
            for family in FAMILIES
        )
    )
    return replace(facts(recorded, of=me), peer_routes=routes, tools=tools)


CASES = [
    (me, facts_of(me, recorded, device, tools))
    for me, recorded, device, tools in product(HOSTS, RECORDED, ("eth0", "eth1", None), TOOLS)
]


def planning_result(among: Fleet, me: Host, read: HostFacts) -> dict[str, object]:
    """All values derived for a host, for the change and for its removal."""
    wanted = desired(among, me, read, WIDE, TEMPLATES)
    plan = plan_host(read, wanted, WIDE)
    back = plan_host(read, HostState(), WIDE)
    routes = [
        tuple(each) for each in mesh_routes(among, me, read.peer_routes).runs("device", lambda route: route.device)
    ]
    scripts = [
        transaction_script(each, read.actual, TEMPLATES, underlays(among, me), run="r", confirm_within_s=60)
        for each in (plan, back)
    ]
    return {
        "resources": tuple(wanted.resources),
        "changes": tuple(plan.changes),
        "way back": tuple(back.changes),
        "underlays": tuple(underlays(among, me)),
        "routes": routes,
        "scripts": scripts,
    }


@pytest.mark.parametrize("source_nat", [False, True])
def test_a_host_gets_the_same_values_regardless_of_earlier_hosts(source_nat: bool) -> None:
    settings = Settings(source_nat=source_nat)
    shared = mesh(settings)
    for me, read in CASES:
        got, alone = planning_result(shared, me, read), planning_result(mesh(settings), me, read)
        # The assertion shows names only, because the values are long.
        assert [what for what in alone if got[what] != alone[what]] == []


def texts_of(host: Host) -> list[str]:
    """Zero to two texts of a host, which start with its number but sort differently."""
    number = int(host.name.removeprefix("h"))
    return [f"{number}{'ba'[each]}{9 - number}" for each in range(number % 3)]


def by_end(text: str) -> tuple[str, str]:
    return text[1:], text


def backwards(text: str) -> tuple[int, ...]:
    return tuple(-ord(letter) for letter in text)


BY_NAME = itemgetter(1)
KEYS: list[Callable[[str], Any] | None] = [None, by_end, backwards]


@given(fleets(), st.lists(st.sampled_from(KEYS), min_size=1, max_size=4), st.data())
def test_peers_yield_their_rows_in_the_requested_order(
    among: Fleet, keys: list[Callable[[str], Any] | None], data: st.DataObject
) -> None:
    for key in keys:
        own = data.draw(st.sampled_from([*(host.name for host in among.hosts), "none of them"]))
        whole = [text for host in among.hosts if host.name != own for text in texts_of(host)]
        me = replace(HOSTS[0], name=own)
        assert peers(among, me).for_each(texts_of, key=key) == tuple(sorted(whole, key=key) if key else whole)


@dataclass(frozen=True)
class Numbered:
    """Makes rows of a number and a host name, and records its calls."""

    number: int
    made: list[str] = field(default_factory=list, compare=False)

    def __call__(self, host: Host) -> list[tuple[int, str]]:
        self.made.append(host.name)
        return [(self.number, host.name)]


class Named(Numbered):
    """Another function type with the same fields."""

    def __call__(self, host: Host) -> list[tuple[int, str]]:
        return [(-self.number, host.name)]


def test_functions_that_differ_in_type_or_value_do_not_share_a_table() -> None:
    among = mesh()
    others = peers(among, HOSTS[0])
    for _again, number, (kind, sign) in product(range(2), range(1, 4), ((Numbered, 1), (Named, -1))):
        plain = others.for_each(kind(number))
        ordered = others.for_each(kind(number), key=BY_NAME)
        assert plain == ordered == ((sign * number, "host2"), (sign * number, "host3"))


def test_equal_functions_make_a_table_once_for_all_hosts() -> None:
    among, first, second = mesh(), Numbered(1), Numbered(1)
    assert peers(among, HOSTS[0]).for_each(first) == ((1, "host2"), (1, "host3"))
    assert peers(among, HOSTS[1]).for_each(second) == ((1, "host1"), (1, "host3"))
    assert (first.made, second.made) == (["host1", "host2", "host3"], [])


OPTIONS = FirewallOptions(0x1000, own_source=True, closed=False, outbound=False)


def networks_of(me: Host, family: Family) -> list[Network]:
    """The underlay address and the prefix of every peer."""
    stacks = [stack for peer in HOSTS if peer != me and (stack := peer.network(family))]
    return [each for stack in stacks for each in (ip_network(stack.underlay), stack.prefix) if each]


def test_families_and_devices_never_share_a_table() -> None:
    among = mesh()
    for device, me in product(("eth0", "eth1", "eth0"), HOSTS):
        read, others = facts_of(me, RECORDED[0], device, TOOLS[0]), peers(among, me)
        networks = {family: networks_of(me, family) for family in FAMILIES}
        assert [ip_network(each) for each in underlays(among, me)] == [*networks[4][::2], *networks[6][::2]]
        assert {(each.prefix, each.device) for each in mesh_routes(among, me, read.peer_routes)} == {
            (each, device) for each in (*networks[4][1::2], *networks[6][1::2])
        }
        for family in FAMILIES:
            table = nft_table(me, others, read, family, OPTIONS)
            assert table is not None
            assert list(table.networks) == sorted(networks[family], key=sort_key)
            assert any(f'iifname "{device}" ' in rule for rule in table.chains)
        overlaps = PrefixIndex(among, me.name, FAMILIES).overlaps((each, each) for each in (*networks[4], *networks[6]))
        assert [(dict(each.prefixes), each.outer, each.found) for each in overlaps] == [
            ({peer.name: prefix_of(peer, family)}, prefix_of(peer, family), [prefix_of(peer, family)])
            for family in FAMILIES
            for peer in HOSTS
            if peer != me
        ]


def allowed(host: Host) -> list[tuple[Allow, ...] | None]:
    return [host.allow]


def prefix_of(host: Host, family: Family) -> Network | None:
    stack = host.network(family)
    return stack.prefix if stack else None


def test_fleets_never_share_a_table() -> None:
    one = mesh()
    assert peers(one, HOSTS[0]).for_each(allowed) == ALLOWED[1:]
    other = replace(one, hosts=tuple(replace(host, allow=()) for host in HOSTS))
    assert peers(other, HOSTS[0]).for_each(allowed) == ((), ())
    fewer = replace(one, hosts=HOSTS[:2])
    assert peers(fewer, HOSTS[0]).for_each(allowed) == ALLOWED[1:2]
