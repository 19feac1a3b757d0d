"""What a valid inventory means."""

import json
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from refusals import locations, missing_facts

from dockmesh.core.inventory import default_bridge, parse
from dockmesh.core.inventory.schema import ConnectionKeys, HostKeys, MeshKeys, json_schema
from dockmesh.core.model import Fleet, Host, Login, Settings
from dockmesh.errors import InventoryError

INVENTORIES = Path(__file__).parents[3] / "inventory"


def fleet(text: str, *, prefixes_required: bool = True) -> Fleet:
    return parse(text, file="mesh.yml", prefixes_required=prefixes_required)


def host(keys: str, *, prefixes_required: bool = True) -> Host:
    return fleet(f"hosts: {{a: {{{keys}}}}}", prefixes_required=prefixes_required).hosts[0]


def test_the_two_hosts_of_the_tutorial() -> None:
    login = {"user": "root"}
    assert parse((INVENTORIES / "two-hosts.yml").read_text(), file="two-hosts.yml").hosts == (
        Host(
            name="docker128",
            underlay=IPv4Address("192.168.18.128"),
            prefix=IPv4Network("172.18.0.0/16"),
            bridge=IPv4Interface("172.18.0.1/16"),
            docker=True,
            login=Login(address="192.168.18.128", **login),
        ),
        Host(
            name="docker130",
            underlay=IPv4Address("192.168.18.130"),
            prefix=IPv4Network("172.17.0.0/16"),
            bridge=IPv4Interface("172.17.0.1/16"),
            docker=True,
            login=Login(address="192.168.18.130", **login),
        ),
    )


def test_the_example_is_valid_and_shows_every_key() -> None:
    text = (INVENTORIES / "example.yml").read_text()
    example = parse(text, file="example.yml")
    assert [each.name for each in example.hosts] == [
        "docker128",
        "docker130",
        "docker131",
        "docker132",
        "db1",
        "kvm1",
    ]
    assert example.settings == Settings(
        "example", IPv4Network("10.128.0.0/12"), 20, pool_size=24, source_nat=False, confirm_within_s=60
    )
    assert example.hosts[3].login == Login(
        "docker132.example.com",
        "deploy",
        2222,
        "~/.ssh/id_deploy",
        "~/.ssh/known_hosts.deploy",
        "accept-new",
        "sudo",
        "none",
    )
    for model in (MeshKeys, ConnectionKeys, HostKeys):
        assert all(f"{key}:" in text for key in model.model_fields)


def test_a_fleet_without_hosts_is_valid_and_empty() -> None:
    for text in ("hosts: {}", "hosts:", "{}", "mesh:\nconnection:\nhosts:\n"):
        assert fleet(text) == Fleet(Settings())


def test_the_underlay_is_the_address_where_nothing_else_is_said() -> None:
    assert host("address: 10.0.0.1, docker: false").underlay == IPv4Address("10.0.0.1")
    assert host("address: web, underlay: 10.0.0.2, docker: no").underlay == IPv4Address("10.0.0.2")


@pytest.mark.parametrize(
    ("prefix", "bridge"),
    [("172.18.0.0/16", "172.18.0.1/24"), ("10.9.0.0/24", "10.9.0.1/24"), ("10.9.0.16/28", "10.9.0.17/28")],
)
def test_the_bridge_is_the_first_address_as_a_24_or_the_whole_of_less(prefix: str, bridge: str) -> None:
    assert host(f"address: 10.0.0.1, prefix: {prefix}").bridge == IPv4Interface(bridge)
    assert default_bridge(IPv4Network(prefix)) == IPv4Interface(bridge)


def test_a_host_without_docker_has_no_bridge() -> None:
    assert host("address: 10.0.0.1, prefix: 10.9.0.0/24, docker: false").bridge is None


def test_only_allocate_takes_hosts_that_lack_a_prefix() -> None:
    found = host("address: 10.0.0.1", prefixes_required=False)
    assert (found.prefix, found.bridge, found.docker) == (None, None, True)
    with pytest.raises(InventoryError) as caught:
        host("address: 10.0.0.1")
    assert locations(caught.value.problems) == ["1:9 missing-key"]
    assert missing_facts(str(caught.value), "a prefix allocate docker") == []


def test_a_host_overrides_every_key_of_the_connection() -> None:
    text = """
connection: {user: u, port: 1, identity_file: i, known_hosts: k, become: none, jump: j, netns: n}
hosts:
  a:
    address: 10.0.0.1
    docker: false
    user: U
    port: 2
    identity_file: I
    known_hosts: K
    host_key_policy: accept-new
    become: sudo
    jump: J
    netns: N
  b: {address: b, underlay: 10.0.0.2, docker: false}
"""
    a, b = fleet(text).hosts
    assert a.login == Login("10.0.0.1", "U", 2, "I", "K", "accept-new", "sudo", "J", "N")
    assert b.login == Login("b", "u", 1, "i", "k", "strict", "none", "j", "n")


def test_what_the_inventory_leaves_open_stays_open_for_ssh() -> None:
    assert host("address: 10.0.0.1, docker: no").login == Login("10.0.0.1")


def test_jump_none_goes_before_the_shared_jump_and_that_of_ssh() -> None:
    (a,) = fleet("connection: {jump: j}\nhosts: {a: {address: 10.0.0.1, docker: no, jump: none}}").hosts
    assert a.login.jump == "none"


def test_hosts_may_be_called_what_yaml_takes_for_a_number_or_a_truth() -> None:
    text = "hosts:\n" + "".join(
        f" {name}: {{address: 10.0.0.{i}, docker: no}}\n" for i, name in enumerate(["130", "no", "1e3", "0x1f"])
    )
    assert [each.name for each in fleet(text).hosts] == ["130", "no", "1e3", "0x1f"]


def test_tags_are_text_whatever_yaml_takes_them_for() -> None:
    assert host("address: 10.0.0.1, docker: no, tags: [1, no, rack-1, 1]").tags == {"1", "no", "rack-1"}


def test_the_home_directory_is_left_for_later() -> None:
    assert host("address: 10.0.0.1, docker: no, identity_file: ~/.ssh/id").login.identity_file == "~/.ssh/id"


def test_the_schema_describes_every_key_and_knows_which_are_needed() -> None:
    schema = json_schema()
    json.dumps(schema)
    assert schema["$defs"]["HostKeys"]["required"] == ["address"]
    assert schema["$defs"]["HostKeys"]["properties"]["port"]["maximum"] == 65535
    assert schema["properties"]["hosts"]["additionalProperties"] is False
    for model in (schema, *schema["$defs"].values()):
        assert model["additionalProperties"] is False
        assert all(entry["description"] for entry in model["properties"].values())
