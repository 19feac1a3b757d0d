"""What holds for every inventory there can be."""

import json
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.inventory import parse
from dockmesh.core.inventory.schema import ConnectionKeys, HostKeys, MeshKeys
from dockmesh.core.model import Allow, Fleet, Host, Login, Settings
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InventoryError, Problem

KEYS = [*MeshKeys.model_fields, *HostKeys.model_fields, "mesh", "connection", "hosts", "a", "b", "<<"]
TYPICAL = [
    "10.0.0.1",
    "10.9.0.0/24",
    "10.9.0.1/24",
    "yes",
    "22",
    "strict",
    "web",
    "~",
    "*a",
    "&a {}",
    "!x y",
    "::1",
]
VALUES = st.recursive(
    st.sampled_from(TYPICAL) | st.text(max_size=8).map(json.dumps),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=5).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=12,
)
DOCUMENTS = st.lists(st.tuples(st.sampled_from(["mesh", "connection", "hosts", "x"]), VALUES), max_size=4).map(
    lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs)
)
NAMES = st.from_regex("[a-z0-9][a-z0-9.-]{0,62}", fullmatch=True)
WORDS = st.none() | st.from_regex(r"[a-zA-Z0-9~/$;_.][a-zA-Z0-9~/$;'\"_.-]{0,9}", fullmatch=True)
TAGS = st.frozensets(st.from_regex("[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True), max_size=3)


def problems_of(text: str, *, prefixes_required: bool) -> tuple[Problem, ...]:
    try:
        parse(text, file="mesh.yml", prefixes_required=prefixes_required)
    except InventoryError as error:
        return error.problems or (Problem("no problem in", 0, 0, ProblemCode.SYNTAX, "an InventoryError"),)
    return ()


@given(st.text() | DOCUMENTS, st.booleans())
def test_any_text_is_a_fleet_or_problems_with_places_in_order(text: str, prefixes_required: bool) -> None:
    problems = problems_of(text, prefixes_required=prefixes_required)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    places = [(found.line, found.column) for found in problems]
    assert places == sorted(places)
    assert all(1 <= line <= len(lines) for line, _ in places)
    assert all(1 <= column <= len(lines[line - 1]) + 1 for line, column in places)
    assert all(found.message.isprintable() for found in problems)


@st.composite
def logins(draw: st.DrawFn, address: str) -> Login:
    return Login(
        address=address,
        user=draw(WORDS),
        port=draw(st.none() | st.integers(1, 65535)),
        identity_file=draw(WORDS),
        known_hosts=draw(WORDS),
        host_key_policy=draw(st.sampled_from(["strict", "accept-new"])),
        become=draw(st.sampled_from(["none", "sudo"])),
        jump=draw(st.sampled_from([None, "none", "bastion", "admin@bastion:2222", "a,b@c"])),
        netns=draw(st.sampled_from([None, "lab"])),
    )


PORTS = st.integers(1, 65535)
ALLOW = st.one_of(
    st.builds(Allow, st.sampled_from(["tcp", "udp"])),
    st.tuples(PORTS, PORTS).map(sorted).map(lambda ports: Allow("tcp", *ports)),
)
ALLOWED = st.none() | st.lists(ALLOW, max_size=3).map(tuple)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    hosts = []
    for i, name in enumerate(draw(st.lists(NAMES, max_size=6, unique=True))):
        docker = draw(st.booleans())
        first, length = int(IPv4Address("172.16.0.0")) + i * 2**16, draw(st.integers(16, 30))
        prefix = IPv4Network((first, length)) if docker or draw(st.booleans()) else None
        bridge = IPv4Interface((first + 1, draw(st.integers(length, 30)))) if docker else None
        login = draw(logins(draw(st.sampled_from([f"host{i}.example", f"192.0.2.{i + 1}"]))))
        hosts.append(Host(name, IPv4Address("10.0.0.1") + i, prefix, bridge, docker, login, draw(TAGS), draw(ALLOWED)))
    pool = draw(st.sampled_from([None, IPv4Network("10.128.0.0/12")]))
    numbers = draw(st.integers(16, 30)), draw(st.integers(16, 29)), draw(st.booleans()), draw(st.integers(10, 3600))
    return Fleet(Settings("lab", pool, *numbers), tuple(hosts))


def inventory_text(fleet: Fleet) -> str:
    """The inventory of a fleet; JSON is YAML."""
    settings = fleet.settings
    mesh = {key: getattr(settings, key) for key in ("name", "prefix_length", "pool_size", "source_nat")}
    pool = {"pool": str(settings.pool)} if settings.pool else {}
    mesh = {**mesh, **pool, "confirm_within": settings.confirm_within_s}
    return json.dumps({"mesh": mesh, "hosts": {host.name: keys(host) for host in fleet.hosts}})


def keys(host: Host) -> dict[str, object]:
    login = {key: getattr(host.login, key) for key in ("address", *ConnectionKeys.model_fields)}
    addresses = {key: getattr(host, key) for key in ("underlay", "prefix", "bridge")}
    given = {key: value for key, value in login.items() if value is not None}
    given |= {key: str(value) for key, value in addresses.items() if value is not None}
    if host.allow is not None:
        given["allow"] = [allowed(each) for each in host.allow]
    return {**given, "docker": host.docker, "tags": sorted(host.tags)}


def allowed(allow: Allow) -> str:
    if allow.first is None:
        return allow.protocol
    return f"{allow.protocol}/{allow.first}" + (f"-{allow.last}" if allow.last != allow.first else "")


@given(fleets())
def test_a_fleet_written_down_is_read_as_the_same_fleet(fleet: Fleet) -> None:
    assert parse(inventory_text(fleet), file="mesh.yml") == fleet
