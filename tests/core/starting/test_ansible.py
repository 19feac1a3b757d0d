"""Ansible inventories, in both of its formats, as they are found in the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.starting import ansible
from dockmesh.core.starting.candidates import Candidate
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


def shown(candidates: list[Candidate]) -> dict[str, tuple[object, ...]]:
    return {
        each.name: (each.address, each.keys.get("user"), each.keys["port"], each.keys.get("become"), *each.tags)
        for each in candidates
    }


@pytest.mark.parametrize(("text", "file"), [(INI, "hosts"), (INI, "hosts.ini"), (YAML, "hosts.yml"), (YAML, "hosts")])
def test_both_formats_say_the_same_of_hosts_groups_and_variables(text: str, file: str) -> None:
    found = ansible.read(text, file=file)
    assert shown(found) == {
        "gate": ("192.0.2.9", None, 2200, None),
        "web01.example.com": ("web01.example.com", "deploy", 2200, "sudo", "prod", "web"),
        "web02.example.com": ("web02.example.com", "deploy", 2200, "sudo", "prod", "web"),
        "web-3": ("192.0.2.3", "root", 2222, "sudo", "prod", "web"),
        "db-a": ("db-a", "postgres", 2200, "none", "db", "prod"),
        "db-b": ("db-b", "postgres", 2200, "none", "db", "prod"),
    }
    assert {each.keys["jump"] for each in found} == {"admin@bastion:2022"}
    assert [each.keys.get("identity_file") for each in found][-2:] == ["~/.ssh/id_db", "~/.ssh/id_db"]


def problems(text: str, file: str = "hosts") -> list[str]:
    with pytest.raises(InventoryError) as refused:
        ansible.read(text, file=file)
    return list(map(str, refused.value.problems))


def test_every_mistake_of_an_ini_file_is_named_with_line_and_column() -> None:
    assert problems("[web:childen]\n[web]\n  a b\nc[1:\nd x='\n[foo:vars]\nx=1\ny\n[w b]\n[g:children]\nweb x\n") == [
        "hosts:1:1: 'childen' is no kind of section; did you mean 'children'?",
        "hosts:3:3: 'b' sets no variable: behind a host stand NAME=VALUE, without blanks around =",
        "hosts:4:1: 'c[1:' is no host: write NAME or NAME:PORT, IPv4 or a name",
        'hosts:5:1: "d x=\'" cannot be read: no closing quotation',
        "hosts:6:1: there is no group 'foo'",
        "hosts:8:1: 'y' sets no variable: write NAME=VALUE",
        "hosts:9:1: '[w b]' is no section: write it as [group], [group:children] or [group:vars]",
        "hosts:11:1: 'x': a line of children is the name of one group",
    ]


def test_every_value_that_dockmesh_cannot_use_is_named_with_its_place() -> None:
    assert problems(
        "a ansible_port=99999\n"
        "b ansible_user='{{ admin }}'\n"
        "c ansible_connection=winrm\n"
        "d ansible_become=yes ansible_become_method=doas ansible_become_user=www\n"
        "e ansible_become=perhaps\n"
        "f ansible_host=fd00::1\n"
        "g/h\n"
        "[_ü]\ni\n"
    ) == [
        "hosts:1:1: port 99999 is out of range; use 1 to 65535",
        "hosts:2:1: ansible_user is filled in by Ansible alone: write its value",
        "hosts:4:1: ansible_become_method 'doas': dockmesh becomes root by sudo, and nobody else",
        "hosts:4:1: ansible_become_user 'www': dockmesh becomes root by sudo, and nobody else",
        "hosts:5:1: ansible_become 'perhaps' is neither true nor false",
        "hosts:6:1: address 'fd00::1' is IPv6, which is not supported yet; use IPv4",
        "hosts:7:1: address 'g/h' is neither an IPv4 address nor a host name",
        "hosts:9:1: group '_ü' makes no tag: letters, digits, '_', '.' and '-'",
    ]


def test_who_is_not_reached_by_ssh_is_no_mistake_and_no_host_of_a_mesh() -> None:
    local, web = ansible.read("localhost ansible_connection=local\nweb ansible_connection=ssh\n", file="hosts")
    assert (local.apart, web.apart) == ("Ansible reaches it by 'local', dockmesh by SSH alone", None)


def test_every_mistake_of_a_yaml_file_is_named_with_line_and_column() -> None:
    assert problems(
        "all:\n  host: {a: }\n  hosts: [a, b]\nweb:\n  hosts:\n    w[1:0]: {ansible_port: 22}\n    w: 7\n"
        "  children: db\nweb: {}\n",
        "hosts.yml",
    ) == [
        "hosts.yml:2:3: unknown key 'host'; did you mean 'hosts'?; a group has hosts, children, vars",
        "hosts.yml:3:3: hosts takes names with a colon behind each, not a list or a word",
        "hosts.yml:6:5: [1:0] of 'w[1:0]' ends before it begins",
        "hosts.yml:7:5: host w takes names with a colon behind each, not a list or a word",
        "hosts.yml:8:3: children takes names with a colon behind each, not a list or a word",
        "hosts.yml:9:1: duplicate key 'web', on line 4 already",
    ]


def test_groups_that_are_missing_or_would_be_in_themselves_are_told() -> None:
    assert problems("[a:children]\nb\n[b:children]\na\nwbe\n[web]\nx\n") == [
        "hosts:1:1: group 'a' would be in itself",
        "hosts:3:1: group 'b' would be in itself",
        "hosts:5:1: there is no group 'wbe'; did you mean 'web'?",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("#!/bin/sh\n", "a program; what it says as a file: ansible-inventory"),
        ("$ANSIBLE_VAULT;1.1\n00", "encrypted by ansible-vault"),
        ("---\n- a\n", "an Ansible inventory is a mapping of groups"),
        ("{", "not valid YAML"),
    ],
)
def test_what_is_no_inventory_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ansible.read(text, file="hosts")


_WORDS = st.text(alphabet="ab[]:=#;'\" \t\\1é,{}-", max_size=12)
_LINES = st.one_of(_WORDS, st.sampled_from(["[a]", "[b:children]", "[a:vars]", "a", "b", "x=1", "c ansible_port=22"]))


@given(st.lists(_LINES, max_size=12).map("\n".join), st.sampled_from(["hosts", "hosts.yml"]))
def test_whatever_a_file_says_its_hosts_come_of_it_or_its_mistakes(text: str, file: str) -> None:
    try:
        found, wrong = ansible.read(text, file=file), ()
    except InventoryError as error:
        found, wrong = [], error.problems
    assert all(each.name and each.place.line and each.place.column for each in found)
    assert all(problem.line and problem.column for problem in wrong)


_NAMES = st.text(alphabet="abc0123456789.-", min_size=1, max_size=8).filter(lambda name: name[0] not in ".-")


@given(st.dictionaries(_NAMES, st.tuples(st.integers(1, 65535), st.sampled_from(["web", "db"])), min_size=1))
def test_what_is_written_in_ini_is_read_again(hosts: dict[str, tuple[int, str]]) -> None:
    groups = {group: [name for name, (_port, its) in hosts.items() if its == group] for group in ("web", "db")}
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} ansible_port={hosts[name][0]} ansible_host=192.0.2.1\n" for name in names)
        for group, names in groups.items()
    )
    found = {each.place.line: each for each in ansible.read(text, file="hosts")}
    lines = text.splitlines()
    assert len(found) == len(hosts)
    for line, each in found.items():
        name = lines[line - 1].split()[0]
        assert (each.keys["port"], each.tags) == (hosts[name][0], (hosts[name][1],))
