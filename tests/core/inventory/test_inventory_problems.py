"""What is said about an inventory that is wrong as a whole."""

import pytest
from refusals import locations, missing_facts, split_mark

from dockmesh.core.inventory import parse
from dockmesh.errors import InventoryError, Problem


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        parse(text, file="mesh.yml")
    return caught.value.problems


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
    assert locations(problems(text)) == [
        "1:23 out-of-range",
        "1:27 unknown-key",
        "3:3 missing-key",
        "4:5 unknown-key",
        "6:34 overlap",
        "6:53 out-of-range",
        "7:3 duplicate-key",
        "8:16 duplicate",
        "8:34 host-bits",
        "9:3 missing-value",
        "10:1 unknown-key",
    ]


def test_a_problem_is_shown_with_its_file_line_and_column() -> None:
    (found,) = problems("hosts:\n  a: {address: 10.0.0.1, docker: no, port: 0}\n")
    assert str(found) == f"mesh.yml:2:44: {found.message}"


def test_what_many_hosts_take_over_from_one_anchor_is_told_once() -> None:
    text = "hosts:\n a: &a {address: 10.0.0.1, docker: no, port: x}\n b: {<<: *a, address: 10.0.0.2}\n"
    assert locations(problems(text)) == ["2:46 not-a-number"]


@pytest.mark.parametrize(
    ("text", "code", "facts"),
    [
        ("mesh: {«user: x}", "unknown-key", "user connection"),
        (
            "mesh: {«zzz: x}",
            "unknown-key",
            "zzz name pool prefix_length source_nat pool_size allow confirm_within",
        ),
        ("mesh: «[]", "wrong-type", "mesh name pool"),
        ("mesh: {name: «Lab One}", "bad-name", "name Lab One lab-one 63"),
        ("mesh: {pool: «10.0.0.1/8}", "host-bits", "pool 10.0.0.1/8 10.0.0.0/8"),
        ("mesh: {pool: «'fd00::/48'}", "wrong-family", "pool fd00::/48"),
        (
            "mesh: {pool: 10.0.0.0/20, prefix_length: «18}",
            "wider-than-pool",
            "prefix_length 18 10.0.0.0/20",
        ),
        ("mesh: {pool: «10.0.0.0/28}", "wider-than-pool", "prefix_length 24 10.0.0.0/28"),
        ("mesh: {prefix_length: «31}", "out-of-range", "prefix_length 31 16 30"),
        ("mesh: {source_nat: «maybe}", "not-a-boolean", "source_nat maybe"),
        ("mesh: {confirm_within: «9}", "out-of-range", "confirm_within 9 10 3600"),
        ("mesh: {confirm_within: «1h}", "not-a-number", "confirm_within 1h 10 3600"),
        ("connection: {port: «70000}", "out-of-range", "port 70000 1 65535"),
        ("connection: {port: «022}", "not-a-number", "port 022"),
        ("connection: {port: «[22]}", "wrong-type", "port"),
        ("connection: {user: «}", "missing-value", "user"),
        ("connection: {user: «''}", "missing-value", "user"),
        ("connection: {become: «sud}", "unknown-value", "become 'sud' none 'sudo'"),
        ("connection: {host_key_policy: «off}", "unknown-value", "host_key_policy off strict accept-new"),
        ("connection: {jump: «'a@b@c'}", "bad-jump", "jump a@b@c"),
        ("connection: {jump: «'a@-oProxyCommand=x'}", "option-like", "jump '-oProxyCommand=x'"),
        ("connection: {jump: «'b:0'}", "out-of-range", "jump 0"),
        ("connection: {netns: «..}", "bad-netns", "netns '..'"),
        ("connection: {netns: «../x}", "bad-netns", "netns '../x'"),
        ("hosts: «[a]", "wrong-type", "hosts"),
        ("hosts: {a: «[x]}", "wrong-type", "a address"),
        ("mesh: {allow: «tcp/80}", "wrong-type", "allow [tcp/80, udp/53]"),
        ("mesh: {allow: [«tpc]}", "bad-ports", "allow tpc"),
        ("mesh: {allow: [«tcp/9-8]}", "reversed-range", "allow tcp/9-8"),
        ("hosts: {a: {address: 10.0.0.1, docker: no, allow: «tcp/80}}", "wrong-type", "allow [tcp/80, udp/53]"),
        ("hosts: {tags: «[x]}", "wrong-type", "tags address"),
        ("hosts:\n  «a:\n", "missing-value", "a address"),
        ("hosts: {«A_1: {address: 10.0.0.1, docker: no}}", "bad-name", "A_1"),
    ],
)
def test_what_is_wrong_has_a_code_and_a_place(text: str, code: str, facts: str) -> None:
    text, place = split_mark(text)
    found = problems(text)
    assert locations(found) == [f"{place} {code}"]
    assert missing_facts(found[0].message, facts) == []


@pytest.mark.parametrize(
    ("first", "second", "code", "facts"),
    [
        ("web, underlay: 10.0.0.1", "«WEB., underlay: 10.0.0.2", "duplicate", "address web b a"),
        ("10.0.0.1", "«10.0.0.1", "duplicate", "address 10.0.0.1 b a"),
        ("10.0.0.1", "web, underlay: «10.0.0.1", "duplicate", "underlay 10.0.0.1 b a"),
        ("web, underlay: 10.0.0.1", "«10.0.0.1", "duplicate", "underlay 10.0.0.1 b a"),
        (
            "10.0.0.1, prefix: 10.9.0.0/24",
            "10.0.0.2, prefix: «10.9.0.0/24",
            "duplicate",
            "prefix 10.9.0.0/24 b a",
        ),
        (
            "10.0.0.1, prefix: 10.9.1.0/24",
            "10.0.0.2, prefix: «10.9.0.0/16",
            "overlap",
            "prefix 10.9.0.0/16 b 10.9.1.0/24 a",
        ),
        ("10.0.0.1, prefix: «10.9.0.0/24", "10.9.0.2", "covers-underlay", "prefix 10.9.0.0/24 a 10.9.0.2 b"),
    ],
)
def test_no_two_hosts_share_what_each_needs_for_itself(first: str, second: str, code: str, facts: str) -> None:
    text, place = split_mark(f"hosts:\n  a: {{docker: no, address: {first}}}\n  b: {{docker: no, address: {second}}}\n")
    found = problems(text)
    assert locations(found) == [f"{place} {code}"]
    assert missing_facts(found[0].message, facts) == []


def test_a_prefix_over_many_underlays_is_one_problem() -> None:
    hosts = "".join(f"  h{i}: {{address: 10.0.0.{i}, docker: no}}\n" for i in range(1, 9))
    found = problems(f"hosts:\n  a: {{address: 10.1.0.1, prefix: 10.0.0.0/24}}\n{hosts}")
    assert locations(found) == ["2:34 covers-underlay"]
    assert missing_facts(found[0].message, "a 10.0.0.1 h1 10.0.0.2 h2 10.0.0.3 h3 5") == []
