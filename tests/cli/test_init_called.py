"""`dockmesh init`, from the words on the command line to the file on the disk."""

import json
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from builders import host
from fakehosts import FakeHost, FakeLan, FakeSession

from dockmesh.cli import contact
from dockmesh.core.inventory.schema import json_schema
from dockmesh.core.model import Host
from dockmesh.core.state import Bridge, Pool
from dockmesh.errors import HostError, NoDockerError

Run = Callable[..., tuple[int, str, str]]
WRITTEN = """\
# yaml-language-server: $schema=mesh.schema.json
# Written by `dockmesh init`. Editors complete and check it by that schema: dockmesh schema > mesh.schema.json
# What to do next: dockmesh validate, plan, apply.
mesh:
  name: mesh
  pool: 10.128.0.0/12  # what prefixes were drawn from, and `dockmesh allocate` draws them from
  prefix_length: 20
hosts:
  docker1:
    address: docker1
    underlay: 192.168.18.1  # for the peers, in 192.168.16.0/20
    prefix: 10.128.0.0/20  # docker0 is 172.17.0.1/16 now
  docker-2:
    address: docker_2
    underlay: 192.168.18.2  # for the peers, in 192.168.16.0/20
    prefix: 172.30.4.0/22  # docker0 stays as it is
    bridge: 172.30.7.9/22
  docker3:
    address: docker3
    underlay: 192.168.18.3  # for the peers, in 192.168.16.0/20
    prefix: 10.128.16.0/20  # docker0 is 172.17.0.1/16 now
"""


class Lan(FakeLan):
    """Some of its hosts have no Docker, or refuse to be read."""

    refusing: dict[str, HostError]

    def connect(self, host: Host) -> FakeSession:
        if isinstance(error := self.refusing.get(host.name), HostError) and (
            host.docker or not isinstance(error, NoDockerError)
        ):
            raise error
        return super().connect(host)


@pytest.fixture
def lan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lan:
    """Three hosts in 192.168.16.0/20 that ~/.ssh/config knows; docker0 of the second is apart. No inventory is here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKMESH_INVENTORY", raising=False)
    names = {"docker1": "192.168.18.1", "docker-2": "192.168.18.2", "docker3": "192.168.18.3"}
    hosts = Lan({name: FakeHost(host(name, address)) for name, address in names.items()})
    hosts.refusing = {}
    hosts.hosts["docker-2"].put(Bridge(IPv4Interface("172.30.7.9/22")))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        "Host docker1\n HostName 192.168.18.1\nHost docker_2\n HostName 192.168.18.2\n"
        "Host docker3\n HostName docker3.invalid\nHost *\n User root\n"
    )
    monkeypatch.setattr(
        contact,
        "SshTransport",
        lambda _configuration, *, timeout_s, password, **_: hosts if timeout_s > 0 and not password else None,
    )
    return hosts


@pytest.mark.usefixtures("lan")
def test_hosts_of_an_ssh_configuration_are_written_with_what_can_stay_left_alone(run: Run, tmp_path: Path) -> None:
    status, out, err = run("init", "--ssh-config", "docker*")
    assert (status, out.splitlines()) == (
        0,
        [
            "docker1   10.128.0.0/20  docker0 moves from 172.17.0.1/16 to 10.128.0.1/24",
            "docker-2  172.30.4.0/22  docker0 stays 172.30.7.9/22",
            "docker3   10.128.16.0/20  docker0 moves from 172.17.0.1/16 to 10.128.16.1/24",
            "3 hosts in mesh.yml. Next: dockmesh plan -i mesh.yml",
        ],
    ), err
    assert Path("mesh.yml").read_text() == WRITTEN
    assert json.loads((tmp_path / "mesh.schema.json").read_text()) == json_schema()
    assert run("validate")[:2] == (0, "valid: 3 hosts, 3 with a prefix, in mesh.yml\n")


def test_an_inventory_that_is_there_stays_unless_forced_and_nobody_is_contacted(run: Run, lan: Lan) -> None:
    Path("mesh.yml").write_text("mine")
    status, _, err = run("init", "docker1")
    assert (status, err) == (4, "mesh.yml is there already, and stays: name another file with --out, or --force\n")
    assert (lan.opened, Path("mesh.yml").read_text()) == (0, "mine")
    assert run("init", "docker1", "--force")[0] == 0
    assert "docker1:" in Path("mesh.yml").read_text()
    assert run("init", "docker1", "--out", "no/such.yml")[0] == 4


@pytest.mark.usefixtures("lan")
def test_to_stdout_goes_the_inventory_and_nothing_else(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("init", "--ssh-config", "docker*", "--out", "-")
    assert (status, out) == (0, WRITTEN)
    assert [each.name for each in tmp_path.iterdir()] == [".ssh"]
    assert run("init", "docker1", "--out", "-", "--json")[0] == 4


def test_without_a_probe_nobody_is_contacted_and_every_host_gets_a_prefix(run: Run, lan: Lan) -> None:
    status, out, _ = run("init", "docker1", "root@docker_2:22", "192.168.18.3", "--no-probe", "--json")
    assert (status, lan.opened) == (0, 0)
    document = json.loads(out)
    assert document["format"] == "dockmesh/init/1"
    assert [(each["host"], each["underlay"], each["prefix"]) for each in document["hosts"]] == [
        ("docker1", "192.168.18.1", "10.128.0.0/20"),
        ("docker-2", "192.168.18.2", "10.128.16.0/20"),
        ("192.168.18.3", "192.168.18.3", "10.128.32.0/20"),
    ]
    assert run("validate")[0] == 0
    status, _, err = run("init", "docker1", "nowhere.invalid", "--no-probe", "--force")
    assert status == 3
    assert "  # left out: its address in the LAN is not known" in Path("mesh.yml").read_text(), err


def test_a_host_that_cannot_be_read_stays_in_the_file_as_a_comment(run: Run, lan: Lan) -> None:
    lan.refusing["docker-2"] = HostError("not root there (uid '1000'): log in as root\nor set become: sudo")
    status, out, _ = run("init", "docker1", "docker_2")
    assert status == 3
    assert "docker-2  left out: not root there" in out
    assert "1 host, 1 host left out as a comment" in out
    assert (
        Path("mesh.yml")
        .read_text()
        .endswith(
            "  # left out: not root there (uid '1000'): log in as root\\nor set become: sudo\n"
            "  # docker-2:\n  #   address: docker_2\n"
        )
    )
    assert run("validate")[0] == 0


def test_where_no_host_can_be_read_nothing_is_written(run: Run, lan: Lan) -> None:
    lan.refusing["docker1"] = HostError("not root there")
    status, out, err = run("init", "docker1")
    assert (status, out) == (3, "")
    assert err.endswith("no host is left to begin with, and nothing was written:\n  docker1: not root there\n")
    assert not Path("mesh.yml").exists()


def test_a_machine_with_two_names_is_written_once(run: Run, lan: Lan) -> None:
    lan.hosts["twin"] = FakeHost(host("twin", "192.168.18.1"))
    status, out, _ = run("init", "docker1", "twin")
    assert status == 0
    assert "twin     left out: 192.168.18.1 is docker1 already" in out
    assert "  # twin:\n" in Path("mesh.yml").read_text()
    assert run("validate")[1].startswith("valid: 1 host")


def test_a_host_without_docker_gets_no_prefix(run: Run, lan: Lan) -> None:
    lan.refusing["docker3"] = NoDockerError("Docker is not installed")
    assert run("init", "docker1", "docker3")[0] == 0
    assert "    docker: false  # none was found there\n" in Path("mesh.yml").read_text()
    assert run("validate")[1] == "valid: 2 hosts, 1 with a prefix, in mesh.yml\n"


def test_hosts_that_are_joined_already_keep_the_whole_of_their_prefixes(run: Run, lan: Lan) -> None:
    for number, each in enumerate(lan.hosts.values()):
        prefix = IPv4Network((int(IPv4Network("10.128.0.0/20")[0]) + 4096 * number, 20))
        docker0 = IPv4Interface((int(prefix[1]), 24))
        pools = tuple(Pool(base, 24) for base in sorted(prefix.address_exclude(docker0.network)))
        each.put(Bridge(docker0, pools))
    status, out, _ = run("init", "--ssh-config", "docker*", "--json")
    assert status == 0
    assert [(each["prefix"], each["bridge"], each["stays"]) for each in json.loads(out)["hosts"]] == [
        ("10.128.0.0/20", "10.128.0.1/24", True),
        ("10.128.16.0/20", "10.128.16.1/24", True),
        ("10.128.32.0/20", "10.128.32.1/24", True),
    ]
    assert "bridge:" not in Path("mesh.yml").read_text()


@pytest.mark.usefixtures("lan")
def test_what_ansible_says_of_connections_is_written_once_where_hosts_share_it(run: Run) -> None:
    Path("hosts").write_text(
        "[web]\ndocker1 ansible_host=192.168.18.1\ndocker-2 ansible_host=192.168.18.2\n"
        "[db]\ndocker3 ansible_port=2222 ansible_user=no\n"
        "[all:vars]\nansible_user=deploy\nansible_become=yes\nansible_ssh_private_key_file=~/.ssh/id\n"
    )
    Path("group_vars").mkdir()
    status, _, err = run("init", "--ansible", "hosts", "--connection", "host_key_policy=accept-new")
    assert (status, "note: variables in group_vars beside hosts are not read" in err) == (0, True)
    text = Path("mesh.yml").read_text()
    assert text.partition("hosts:\n")[0].partition("connection:")[2].splitlines()[1:] == [
        "  become: sudo",
        "  user: deploy",
        "  identity_file: ~/.ssh/id",
        "  host_key_policy: accept-new",
    ]
    assert text.endswith("    user: 'no'\n    port: 2222\n    tags: [db]\n")
    assert "    address: 192.168.18.1\n    prefix: 10.128.0.0/20" in text, "the address is that in the LAN"
    assert run("validate")[0] == 0


def test_of_an_ansible_inventory_some_are_chosen_and_who_is_not_reached_by_ssh_stands_there_as_a_comment(
    run: Run, lan: Lan
) -> None:
    Path("hosts").write_text("localhost ansible_connection=local\n[docker]\ndocker1\ndocker-2\n[other]\ndocker3\n")
    assert run("init", "--ansible", "hosts", "--limit", "localhost,tag:docker")[0] == 0
    assert lan.opened == 2
    text = Path("mesh.yml").read_text()
    assert "  # left out: Ansible reaches it by 'local', dockmesh by SSH alone\n  # localhost:\n" in text
    assert "docker3" not in text
    assert run("validate")[1] == "valid: 2 hosts, 2 with a prefix, in mesh.yml\n"


def test_with_json_a_mistake_on_the_command_line_has_no_line(run: Run, lan: Lan) -> None:
    status, out, _ = run("init", "a:b", "--json")
    assert (status, lan.opened) == (4, 0)
    assert json.loads(out)["problems"] == [
        {"file": "HOST", "line": None, "column": None, "message": "'b' is not a whole number; use 1 to 65535"}
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "no hosts: name some, or --ssh-config 'PATTERN', or --ansible FILE"),
        (("--ssh-config", "dockre1"), "~/.ssh/config: no Host entry is called 'dockre1'; did you mean 'docker1'"),
        (("--ansible", "nowhere"), "nowhere: No such file or directory"),
        (("a@b@c", "w:x"), "HOST: 'x' is not a whole number"),
        (("a@b@c",), "HOST: 'a@b@c' is neither an IPv4 address nor a host name"),
        (("web:ssh",), "HOST: 'ssh' is not a whole number"),
        (("root@[fd00::1]:22",), "HOST: 'root@[fd00::1]:22' is neither an IPv4 address"),
        (("fd00::1",), "HOST: 'fd00::1' is IPv6, which is not supported yet"),
        (("--ssh-config", "docker1", "docker1"), "'docker1': host docker1 stands in "),
        (("docker1", "docker1"), "'docker1': host docker1 stands in 'docker1' already"),
        (("docker1", "--pool", "10.0.0.1/8"), "--pool 10.0.0.1/8 has host bits set"),
        (("docker1", "--connection", "becme=sudo"), "--connection: unknown key 'becme'; did you mean 'become'?"),
        (("docker1", "--connection", "port=x"), "--connection: port 'x' is not a whole number"),
        (("docker1", "--limit", "docker2"), "--limit: no host is called 'docker2'; did you mean 'docker1'?"),
    ],
)
def test_a_call_that_is_wrong_contacts_nobody(run: Run, lan: Lan, words: tuple[str, ...], told: str) -> None:
    status, out, err = run("init", *words)
    assert (status, out, lan.opened) == (4, "", 0)
    assert told in err


@pytest.mark.usefixtures("lan")
def test_a_pool_that_the_hosts_are_in_themselves_is_told_with_what_takes_it(run: Run) -> None:
    status, _, err = run("init", "docker1", "docker3", "--pool", "192.168.16.0/22")
    assert status == 3
    assert "192.168.16.0/20 on eth0 of docker1" in err
    assert "--pool" in err
