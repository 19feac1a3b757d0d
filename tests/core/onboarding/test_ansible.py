"""Ansible inventories, in both of its formats, as they are found in the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import locations, missing_facts

from dockmesh.core.onboarding import ansible
from dockmesh.core.onboarding.candidates import Candidate
from dockmesh.errors import InventoryError, UsageError

INI = """\
# our fleet
gate ansible_host=192.0.2.9 ansible_connection=ssh

[web]
web[01:02].example.com ansible_user=deploy   # the old ones
Web_3:2222 ansible_host="192.0.2.3" note='a b # c'

[db]
db-[a:b] ansible_become=false

[prod:children]
web
db

[db:vars]
ansible_user = postgres
ansible_ssh_private_key_file = ~/.ssh/id_db

[prod:vars]
; wider, so it gives way
ansible_user = root
ansible_become = yes
ansible_become_method = sudo

[all:vars]
ansible_port=2200
ansible_ssh_common_args='-C -o ProxyJump=admin@bastion:2022'
"""
YAML = """\
all:
  hosts:
    gate: {ansible_host: 192.0.2.9, ansible_connection: ssh}
  vars:
    ansible_port: 2200
    ansible_ssh_common_args: -C -o ProxyJump=admin@bastion:2022
    secret: !vault |
      $ANSIBLE_VAULT;1.1;AES256
  children:
    prod:
      vars: {ansible_user: root, ansible_become: yes, ansible_become_method: sudo, list: [1, {a: b}]}
      children:
        web:
          hosts:
            web[01:02].example.com: {ansible_user: deploy}
            Web_3:2222: {ansible_host: 192.0.2.3}
        db:
          hosts: {'db-[a:b]': {ansible_become: false}}
          vars: {ansible_user: postgres, ansible_ssh_private_key_file: ~/.ssh/id_db}
"""


def candidate_keys(candidates: list[Candidate]) -> dict[str, tuple[object, ...]]:
    return {
        each.name: (each.address, each.keys.get("user"), each.keys["port"], each.keys.get("become"), *each.tags)
        for each in candidates
    }


@pytest.mark.parametrize(("text", "file"), [(INI, "hosts"), (INI, "hosts.ini"), (YAML, "hosts.yml"), (YAML, "hosts")])
def test_both_formats_say_the_same_of_hosts_groups_and_variables(text: str, file: str) -> None:
    found = ansible.parse_ansible(text, file=file)
    assert candidate_keys(found) == {
        "gate": ("192.0.2.9", None, 2200, None),
        "web01.example.com": ("web01.example.com", "deploy", 2200, "sudo", "prod", "web"),
        "web02.example.com": ("web02.example.com", "deploy", 2200, "sudo", "prod", "web"),
        "web-3": ("192.0.2.3", "root", 2222, "sudo", "prod", "web"),
        "db-a": ("db-a", "postgres", 2200, "none", "db", "prod"),
        "db-b": ("db-b", "postgres", 2200, "none", "db", "prod"),
    }
    assert {each.keys["jump"] for each in found} == {"admin@bastion:2022"}
    assert [each.keys.get("identity_file") for each in found][-2:] == ["~/.ssh/id_db", "~/.ssh/id_db"]


def problems(text: str, file: str = "hosts") -> list[tuple[str, str]]:
    """What is wrong: the place and code of each, and its message."""
    with pytest.raises(InventoryError) as refused:
        ansible.parse_ansible(text, file=file)
    found = refused.value.problems
    assert {each.file for each in found} == {file}
    return list(zip(locations(found), (each.message for each in found), strict=True))


def assert_problems(found: list[tuple[str, str]], *expected: tuple[str, str]) -> None:
    """The places and codes are those expected, and the messages name the facts beside them."""
    assert [place for place, _message in found] == [place for place, _facts in expected]
    wanting = [missing_facts(message, facts) for (_place, message), (_, facts) in zip(found, expected, strict=True)]
    assert wanting == [[]] * len(expected)


def test_every_mistake_of_an_ini_file_is_named_with_line_and_column() -> None:
    assert_problems(
        problems("[web:childen]\n[web]\n  a b\nc[1:\nd x='\n[foo:vars]\nx=1\ny\n[w b]\n[g:children]\nweb x\n"),
        ("1:1 unknown-section", "childen children"),
        ("3:3 bad-variable", "'b' NAME=VALUE"),
        ("4:1 bad-host", "'c[1:' NAME:PORT"),
        ("5:1 syntax", "x='"),
        ("6:1 unknown-group", "foo"),
        ("8:1 bad-variable", "'y' NAME=VALUE"),
        ("9:1 bad-section", "[group:children]"),
        ("11:1 bad-child", "'x'"),
    )


def test_every_value_that_dockmesh_cannot_use_is_named_with_its_place() -> None:
    text = (
        "a ansible_port=99999\n"
        "b ansible_user='{{ admin }}'\n"
        "c ansible_connection=winrm\n"
        "d ansible_become=yes ansible_become_method=doas ansible_become_user=www\n"
        "e ansible_become=perhaps\n"
        "f ansible_host=fd00::1\n"
        "g/h\n"
        "[_ü]\ni\n"
    )
    assert_problems(
        problems(text),
        ("1:1 out-of-range", "port 99999 1 65535"),
        ("2:1 templated-value", "ansible_user"),
        ("4:1 unsupported-become", "ansible_become_method doas"),
        ("4:1 unsupported-become", "ansible_become_user www"),
        ("5:1 not-a-boolean", "ansible_become perhaps"),
        ("6:1 wrong-family", "address fd00::1"),
        ("7:1 bad-address", "address g/h"),
        ("9:1 bad-tag", "'_ü'"),
    )


def test_who_is_not_reached_by_ssh_is_no_mistake_and_no_host_of_a_mesh() -> None:
    local, web = ansible.parse_ansible("localhost ansible_connection=local\nweb ansible_connection=ssh\n", file="hosts")
    assert missing_facts(local.excluded or "", "'local' SSH") == []
    assert web.excluded is None


def test_every_mistake_of_a_yaml_file_is_named_with_line_and_column() -> None:
    text = (
        "all:\n  host: {a: }\n  hosts: [a, b]\nweb:\n  hosts:\n    w[1:0]: {ansible_port: 22}\n    w: 7\n"
        "  children: db\nweb: {}\n"
    )
    assert_problems(
        problems(text, "hosts.yml"),
        ("2:3 unknown-key", "'host' hosts children vars"),
        ("3:3 wrong-type", "hosts"),
        ("6:5 reversed-range", "[1:0] 'w[1:0]'"),
        ("7:5 wrong-type", "host w"),
        ("8:3 wrong-type", "children"),
        ("9:1 duplicate-key", "web 4"),
    )


def test_groups_that_are_missing_or_would_be_in_themselves_are_told() -> None:
    assert_problems(
        problems("[a:children]\nb\n[b:children]\na\nwbe\n[web]\nx\n"),
        ("1:1 cycle", "'a'"),
        ("3:1 cycle", "'b'"),
        ("5:1 unknown-group", "wbe web"),
    )


@pytest.mark.parametrize(
    ("text", "code", "facts"),
    [
        ("#!/bin/sh\n", "program", "hosts ansible-inventory"),
        ("$ANSIBLE_VAULT;1.1\n00", "encrypted-file", "hosts ansible-vault"),
        ("---\n- a\n", "not-a-mapping", "hosts:2:1 Ansible"),
        ("{", "syntax", "hosts:1:2"),
    ],
)
def test_what_is_no_inventory_has_a_code(text: str, code: str, facts: str) -> None:
    with pytest.raises(UsageError) as caught:
        ansible.parse_ansible(text, file="hosts")
    error = caught.value
    assert [each.code for each in error.problems] == [code] if isinstance(error, InventoryError) else error.code == code
    assert missing_facts(str(error), facts) == []


_WORDS = st.text(alphabet="ab[]:=#;'\" \t\\1é,{}-", max_size=12)
_LINES = st.one_of(_WORDS, st.sampled_from(["[a]", "[b:children]", "[a:vars]", "a", "b", "x=1", "c ansible_port=22"]))


@given(st.lists(_LINES, max_size=12).map("\n".join), st.sampled_from(["hosts", "hosts.yml"]))
def test_whatever_a_file_says_its_hosts_come_of_it_or_its_mistakes(text: str, file: str) -> None:
    try:
        found, wrong = ansible.parse_ansible(text, file=file), ()
    except InventoryError as error:
        found, wrong = [], error.problems
    assert all(each.name and each.location.line and each.location.column for each in found)
    assert all(problem.line and problem.column for problem in wrong)


_NAMES = st.text(alphabet="abc0123456789.-", min_size=1, max_size=8).filter(lambda name: name[0] not in ".-")


@given(st.dictionaries(_NAMES, st.tuples(st.integers(1, 65535), st.sampled_from(["web", "db"])), min_size=1))
def test_what_is_written_in_ini_is_read_again(hosts: dict[str, tuple[int, str]]) -> None:
    groups = {group: [name for name, (_port, its) in hosts.items() if its == group] for group in ("web", "db")}
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} ansible_port={hosts[name][0]} ansible_host=192.0.2.1\n" for name in names)
        for group, names in groups.items()
    )
    found = {each.location.line: each for each in ansible.parse_ansible(text, file="hosts")}
    lines = text.splitlines()
    assert len(found) == len(hosts)
    for line, each in found.items():
        name = lines[line - 1].split()[0]
        assert (each.keys["port"], each.tags) == (hosts[name][0], (hosts[name][1],))
