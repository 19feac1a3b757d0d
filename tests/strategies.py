"""Hypothesis strategies for host states and fleets."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from hypothesis import strategies as st

from dockmesh.core.model import Fleet, Host, Login, Settings
from dockmesh.core.names import DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT
from dockmesh.core.state.resources import (
    AcceptRules,
    DockerNetworking,
    File,
    FirewallMark,
    Forwarding,
    HostState,
    NftAdmission,
    NftTable,
    PeerSet,
    Pool,
    Route,
    StrayRoute,
    Unit,
    key_of,
)

PREFIXES = st.sampled_from(["10.0.0.0/24", "9.0.0.0/8", "10.0.0.0/16", "172.20.0.0/14", "10.128.0.0/20"]).map(
    IPv4Network
)
PREFIXES6 = st.sampled_from(["fd00:1::/64", "fd00::/16"]).map(IPv6Network)
FAMILIES = st.sampled_from([4, 6])
HOPS = st.sampled_from(["192.168.0.1", "192.168.0.2"]).map(IPv4Address)
WORDS = st.sampled_from(["", "a", "b\n"])
POOLS = st.builds(Pool, PREFIXES, st.integers(24, 28))
ADMISSIONS = st.builds(
    NftAdmission, st.sampled_from([None, FirewallMark(1, 1), FirewallMark(0x1000, 0xFFFFFFFF)]), st.booleans()
)
SETS = st.lists(
    st.builds(
        PeerSet,
        st.sampled_from(["peers1", "peers2"]),
        st.lists(PREFIXES, min_size=1, max_size=2, unique=True).map(tuple),
    ),
    max_size=2,
    unique_by=lambda each: each.name,
).map(tuple)
CHAINS = st.lists(st.sampled_from(["chain forward {", "counter drop", "}"]), max_size=3).map(tuple)
ACCEPTS = st.lists(
    st.sampled_from([f"-d 10.0.0.0/8 -m comment --comment dockmesh -j {target}" for target in "AB"]), max_size=2
).map(tuple)
RESOURCES = st.one_of(
    st.builds(Route, PREFIXES, HOPS, st.sampled_from(["eth0", "eth1"])),
    st.builds(
        StrayRoute,
        st.sampled_from(["tos 0x10 via 10.0.0.9 dev eth0", "dev eth1"]).map(
            lambda way: f"10.0.0.0/24 {way} proto 201 metric 4201"
        ),
        st.just(4),
    ),
    st.builds(
        File,
        st.sampled_from([DAEMON_JSON, ORIGINAL_JSON, REASSERT_SCRIPT]),
        WORDS,
        st.sampled_from(["600", "644", None]),
    ),
    st.builds(Unit, st.sampled_from(["dockmesh.service", "dockmesh.timer"]), WORDS, st.booleans()),
    st.builds(
        DockerNetworking,
        st.none() | st.just(IPv4Interface("10.0.0.1/24")),
        st.lists(POOLS, max_size=2).map(tuple),
        admission=st.none() | ADMISSIONS,
        address6=st.none() | st.just(IPv6Interface("fd00:1::1/64")),
        mtu=st.sampled_from([1400, 1500]),
    ),
    st.builds(NftTable, SETS, CHAINS, FAMILIES),
    st.builds(Forwarding, FAMILIES, st.booleans(), st.sampled_from([None, "ACCEPT", "DROP"])),
    st.builds(Route, PREFIXES6, st.just(IPv6Address("fd00::2")), st.just("eth0")),
    st.builds(AcceptRules, st.just("filter"), st.sampled_from(["DOCKER-USER", "FORWARD"]), ACCEPTS, FAMILIES),
    st.builds(AcceptRules, st.just("raw"), st.just("PREROUTING"), ACCEPTS, FAMILIES),
)
STATES = st.lists(RESOURCES, unique_by=key_of).map(lambda resources: HostState(tuple(resources)))


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """A fleet in one LAN; each host has a /24 of 10.0.0.0/8, or no prefix."""
    lans = draw(st.lists(st.integers(1, 65_000), unique=True, max_size=8))
    hosts = []
    for number, at in enumerate(lans):
        docker = draw(st.booleans())
        prefix = IPv4Network((0x0A000000 + at * 256, 24)) if docker or draw(st.booleans()) else None
        bridge = IPv4Interface((int(prefix[1]), 24)) if docker and prefix else None
        underlay = IPv4Address("192.168.0.0") + at
        hosts.append(Host(f"h{number}", underlay, prefix, bridge, docker=docker, login=Login(str(underlay))))
    return Fleet(Settings(), tuple(hosts))
