"""What is said about an inventory that is wrong as a whole."""

import pytest

from dockmesh.core.inventory import parse
from dockmesh.errors import InventoryError


def problems(text: str) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        parse(text, file="mesh.yml")
    return [str(problem) for problem in caught.value.problems]


def problem(text: str) -> str:
    (only,) = problems(text)
    return only


def test_every_problem_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
mesh: {prefix_length: 15, nmae: x}
hosts:
  a:
    adress: 10.0.0.1
    prefix: 10.1.0.0/16
  b: {address: 10.0.0.1, prefix: 10.1.2.0/24, port: 0}
  b: {address: 10.0.0.9}
  c: {address: 10.0.0.1, prefix: 10.9.0.5/24, bridge: 10.9.0.1/24}
  D:
hots: {}
"""
    assert problems(text) == [
        "mesh.yml:1:23: prefix_length 15 is out of range; use 16 to 30",
        "mesh.yml:1:27: unknown key 'nmae'; did you mean 'name'?",
        "mesh.yml:3:3: a has no address; write where SSH goes, as in address: 192.0.2.1",
        "mesh.yml:4:5: unknown key 'adress'; did you mean 'address'?",
        "mesh.yml:6:34: prefix 10.1.2.0/24 of b overlaps prefix 10.1.0.0/16 of a",
        "mesh.yml:6:53: port 0 is out of range; use 1 to 65535",
        "mesh.yml:7:3: duplicate key 'b', on line 6 already",
        "mesh.yml:8:16: address 10.0.0.1 of c is that of b already",
        "mesh.yml:8:34: prefix 10.9.0.5/24 has host bits set; did you mean 10.9.0.0/24?",
        "mesh.yml:9:3: host D is empty; it needs an address at least, as in address: 192.0.2.1",
        "mesh.yml:10:1: unknown key 'hots'; did you mean 'hosts'?",
    ]


def test_what_many_hosts_take_over_from_one_anchor_is_told_once() -> None:
    text = "hosts:\n a: &a {address: 10.0.0.1, docker: no, port: x}\n b: {<<: *a, address: 10.0.0.2}\n"
    assert problem(text) == "mesh.yml:2:46: port 'x' is not a whole number; use 1 to 65535"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mesh: {user: x}", "1:8: unknown key 'user'; it belongs under connection"),
        (
            "mesh: {zzz: x}",
            "1:8: unknown key 'zzz'; known here: name, pool, prefix_length, source_nat, pool_size, allow, confirm",
        ),
        ("mesh: []", "1:7: mesh takes keys and values: name, pool, "),
        ("mesh: {name: Lab One}", "1:14: name 'Lab One' is not a name: 1 to 63 of a-z, 0-9, '.' and '-'"),
        ("mesh: {name: Lab One}", "did you mean 'lab-one'?"),
        ("mesh: {pool: 10.0.0.1/8}", "1:14: pool 10.0.0.1/8 has host bits set; did you mean 10.0.0.0/8?"),
        (
            "mesh: {pool: 10.0.0.0/20, prefix_length: 18}",
            "1:42: prefix_length 18 is shorter than the pool 10.0.0.0/20",
        ),
        ("mesh: {pool: 10.0.0.0/28}", "1:14: prefix_length 24 is shorter than the pool 10.0.0.0/28"),
        ("mesh: {prefix_length: 31}", "1:23: prefix_length 31 is out of range; use 16 to 30"),
        ("mesh: {source_nat: maybe}", "1:20: source_nat 'maybe' is neither true nor false"),
        ("mesh: {confirm_within: 9}", "1:24: confirm_within 9 is out of range; use 10 to 3600"),
        ("mesh: {confirm_within: 1h}", "1:24: confirm_within '1h' is not a whole number; use 10 to 3600"),
        ("connection: {port: 70000}", "1:20: port 70000 is out of range; use 1 to 65535"),
        ("connection: {port: 022}", "1:20: port '022' is not a whole number"),
        ("connection: {port: [22]}", "1:20: port takes one value, not several"),
        ("connection: {user: }", "user has no value; write one or remove the key"),
        ("connection: {user: ''}", "1:20: user has no value; write one or remove the key"),
        (
            "connection: {become: sud}",
            "1:22: become 'sud' is unknown; use none or sudo; did you mean 'sudo'?",
        ),
        (
            "connection: {host_key_policy: off}",
            "1:31: host_key_policy 'off' is unknown; use strict or accept-new",
        ),
        ("connection: {jump: 'a@b@c'}", "1:20: jump 'a@b@c' is not USER@HOST:PORT"),
        ("connection: {jump: 'a@-oProxyCommand=x'}", "starts with '-' and could be taken for an option"),
        ("connection: {jump: 'b:0'}", "1:20: jump 0 is out of range"),
        ("connection: {netns: ..}", "1:21: netns '..' is not the name of a network namespace"),
        ("connection: {netns: ../x}", "1:21: netns '../x' is not the name of a network namespace"),
        ("hosts: [a]", "1:8: hosts is a mapping by name"),
        ("hosts: {a: [x]}", "1:12: a takes keys and values: "),
        ("mesh: {allow: tcp/80}", "1:15: allow is a list, as in [tcp/80, udp/53]"),
        ("hosts: {a: {address: 10.0.0.1, docker: no, allow: tcp/80}}", "1:51: allow is a list, as in [tcp/80, udp/53]"),
        ("hosts: {tags: [x]}", "1:15: tags takes keys and values: "),
        ("hosts:\n  a:\n", "2:3: host a is empty; it needs an address at least"),
        ("hosts: {A_1: {address: 10.0.0.1, docker: no}}", "1:9: host name 'A_1' is not a name"),
    ],
)
def test_what_is_wrong_is_said_for_people(text: str, message: str) -> None:
    assert message in problem(text)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("web, underlay: 10.0.0.1", "WEB., underlay: 10.0.0.2", "address web of b is that of a already"),
        ("10.0.0.1", "10.0.0.1", "address 10.0.0.1 of b is that of a already"),
        ("10.0.0.1", "web, underlay: 10.0.0.1", "underlay 10.0.0.1 of b is that of a already"),
        ("web, underlay: 10.0.0.1", "10.0.0.1", "underlay 10.0.0.1 of b is that of a already"),
        (
            "10.0.0.1, prefix: 10.9.0.0/24",
            "10.0.0.2, prefix: 10.9.0.0/24",
            "10.9.0.0/24 of b is that of a already",
        ),
        (
            "10.0.0.1, prefix: 10.9.1.0/24",
            "10.0.0.2, prefix: 10.9.0.0/16",
            "of b overlaps prefix 10.9.1.0/24 of a",
        ),
        ("10.0.0.1, prefix: 10.9.0.0/24", "10.9.0.2", "10.9.0.0/24 of a covers underlay 10.9.0.2 of b"),
    ],
)
def test_no_two_hosts_share_what_each_needs_for_itself(first: str, second: str, message: str) -> None:
    hosts = f"  a: {{docker: no, address: {first}}}\n  b: {{docker: no, address: {second}}}\n"
    assert message in problem(f"hosts:\n{hosts}")


def test_a_prefix_over_many_underlays_is_one_problem() -> None:
    hosts = "".join(f"  h{i}: {{address: 10.0.0.{i}, docker: no}}\n" for i in range(1, 9))
    message = problem(f"hosts:\n  a: {{address: 10.1.0.1, prefix: 10.0.0.0/24}}\n{hosts}")
    assert "covers underlay 10.0.0.1 of h1, 10.0.0.2 of h2, 10.0.0.3 of h3, 5 more" in message
