"""`dockmesh init`, from the words on the command line to the file on the disk."""

import json
import re
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest
import yaml
from builders import host
from conftest import Refused, Run
from fakehosts import FakeHost, FakeLan, FakeSession
from refusals import missing_facts

from dockmesh.cli import open_run
from dockmesh.core.inventory.schema import json_schema
from dockmesh.core.model import Host
from dockmesh.core.state.resources import DockerNetworking, Pool
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, NoDockerError

WRITTEN = {
    "mesh": {"name": "mesh", "pool": "10.128.0.0/12", "prefix_length": 20},
    "hosts": {
        "docker1": {"address": "docker1", "underlay": "192.168.18.1", "prefix": "10.128.0.0/20"},
        "docker-2": {
            "address": "docker_2",
            "underlay": "192.168.18.2",
            "prefix": "172.30.4.0/22",
            "bridge": "172.30.7.9/22",
        },
        "docker3": {"address": "docker3", "underlay": "192.168.18.3", "prefix": "10.128.16.0/20"},
    },
}
SCHEMA_LINE = "# yaml-language-server: $schema=mesh.schema.json\n"


def assert_written(text: str) -> None:
    """The text is the inventory of the three hosts, in that order, and its comments name what was found on them."""
    found = yaml.safe_load(text)
    assert (found, [*found], [*found["hosts"]]) == (WRITTEN, [*WRITTEN], [*WRITTEN["hosts"]])
    assert text.startswith(SCHEMA_LINE)
    comments = [line.partition("#")[::2] for line in text.splitlines() if re.match(" .*#", line)]
    named = {words.strip(): comment for words, comment in comments}
    assert missing_facts(named["underlay: 192.168.18.1"], "192.168.16.0/20") == []
    assert missing_facts(named["prefix: 10.128.0.0/20"], "docker0 172.17.0.1/16") == []
    assert missing_facts(named["prefix: 172.30.4.0/22"], "docker0") == []
    assert "172.17.0.1" not in named["prefix: 172.30.4.0/22"]


def left_out(text: str) -> dict[str, str]:
    """The hosts that stand in an inventory as comments, each with the reason above it."""
    lines = text.splitlines()
    names = {at: found[1] for at, line in enumerate(lines) if (found := re.fullmatch(r"  # ([^ #]\S*):", line))}
    return {name: lines[at - 1] for at, name in names.items()}


def valid_hosts(run: Run) -> list[str]:
    """The hosts of the inventory that is written, which is valid."""
    status, out, _ = run("validate", "--json")
    assert status == 0
    hosts: list[str] = json.loads(out)["hosts"]
    return hosts


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
    hosts.hosts["docker-2"].put(DockerNetworking(IPv4Interface("172.30.7.9/22")))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        "Host docker1\n HostName 192.168.18.1\nHost docker_2\n HostName 192.168.18.2\n"
        "Host docker3\n HostName docker3.invalid\nHost *\n User root\n"
    )
    monkeypatch.setattr(
        open_run,
        "SshTransport",
        lambda _configuration, *, timeout_s, password, **_: hosts if timeout_s > 0 and not password else None,
    )
    return hosts


@pytest.mark.usefixtures("lan")
def test_hosts_of_an_ssh_configuration_are_written_with_what_can_stay_left_alone(run: Run, tmp_path: Path) -> None:
    status, out, err = run("init", "--ssh-config", "docker*")
    assert status == 0, err
    *hosts, total = out.splitlines()
    facts = [
        "docker1 10.128.0.0/20 172.17.0.1/16 10.128.0.1/24",
        "docker-2 172.30.4.0/22 172.30.7.9/22",
        "docker3 10.128.16.0/20 172.17.0.1/16 10.128.16.1/24",
    ]
    assert [missing_facts(line, each) for line, each in zip(hosts, facts, strict=True)] == [[]] * 3
    assert missing_facts(total, "3 mesh.yml") == []
    assert total.endswith("dockmesh plan -i mesh.yml")
    assert_written(Path("mesh.yml").read_text())
    assert json.loads((tmp_path / "mesh.schema.json").read_text()) == json_schema()
    assert valid_hosts(run) == ["docker1", "docker-2", "docker3"]


def test_an_inventory_that_is_there_stays_unless_forced_and_nobody_is_contacted(
    run: Run, problems_of_call: Refused, lan: Lan
) -> None:
    Path("mesh.yml").write_text("mine")
    (problem,) = problems_of_call("init", "docker1")
    assert problem["code"] == "file-exists"
    assert missing_facts(problem["message"], "mesh.yml --out --force") == []
    assert (lan.opened, Path("mesh.yml").read_text()) == (0, "mine")
    assert run("init", "docker1", "--force")[0] == 0
    assert "docker1:" in Path("mesh.yml").read_text()
    (problem,) = problems_of_call("init", "docker1", "--out", "no/such.yml")
    assert (problem["code"], missing_facts(problem["message"], "no/such.yml")) == ("no-folder", [])


@pytest.mark.usefixtures("lan")
def test_to_stdout_goes_the_inventory_and_nothing_else(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("init", "--ssh-config", "docker*", "--out", "-")
    assert status == 0
    assert_written(out)
    assert [each.name for each in tmp_path.iterdir()] == [".ssh"]
    status, out, _ = run("init", "docker1", "--out", "-", "--json")
    assert (status, [each["code"] for each in json.loads(out)["problems"]]) == (4, ["conflicting-options"])


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
    assert left_out(Path("mesh.yml").read_text()).keys() == {"nowhere.invalid"}, err


def test_a_host_that_cannot_be_read_stays_in_the_file_as_a_comment(run: Run, lan: Lan) -> None:
    lan.refusing["docker-2"] = HostError(
        "not root there (uid '1000'): log in as root\nor set become: sudo", code=HostErrorCode.NOT_ROOT
    )
    status, out, _ = run("init", "docker1", "docker_2")
    assert status == 3
    *hosts, total = out.splitlines()
    assert any(line.startswith("docker-2 ") and "not root there" in line for line in hosts)
    assert re.findall(r"\b\d+\b", total) == ["1", "1"]
    text = Path("mesh.yml").read_text()
    assert left_out(text)["docker-2"].endswith("not root there (uid '1000'): log in as root\\nor set become: sudo")
    assert text.endswith("  # docker-2:\n  #   address: docker_2\n")
    assert valid_hosts(run) == ["docker1"]


def test_where_no_host_can_be_read_nothing_is_written(run: Run, lan: Lan) -> None:
    lan.refusing["docker1"] = HostError("not root there", code=HostErrorCode.NOT_ROOT)
    status, out, err = run("init", "docker1")
    assert (status, out) == (3, "")
    assert err.endswith("docker1: not root there\n")
    assert not Path("mesh.yml").exists()


def test_with_json_a_call_that_comes_to_nothing_has_its_code(run: Run, lan: Lan) -> None:
    lan.refusing["docker1"] = HostError("not root there", code=HostErrorCode.NOT_ROOT)
    status, out, _ = run("init", "docker1", "--json")
    assert status == 3
    assert [each["code"] for each in json.loads(out)["problems"]] == ["no-host-left"]


def test_a_machine_with_two_names_is_written_once(run: Run, lan: Lan) -> None:
    lan.hosts["twin"] = FakeHost(host("twin", "192.168.18.1"))
    status, out, _ = run("init", "docker1", "twin")
    assert status == 0
    (told,) = (line for line in out.splitlines() if line.startswith("twin "))
    assert missing_facts(told, "192.168.18.1 docker1") == []
    assert left_out(Path("mesh.yml").read_text()).keys() == {"twin"}
    assert valid_hosts(run) == ["docker1"]


def test_a_host_without_docker_gets_no_prefix(run: Run, lan: Lan) -> None:
    lan.refusing["docker3"] = NoDockerError("Docker is not installed")
    assert run("init", "docker1", "docker3")[0] == 0
    hosts = yaml.safe_load(Path("mesh.yml").read_text())["hosts"]
    assert (hosts["docker3"]["docker"], "prefix" in hosts["docker3"], "prefix" in hosts["docker1"]) == (
        False,
        False,
        True,
    )
    assert valid_hosts(run) == ["docker1", "docker3"]


def test_hosts_that_are_joined_already_keep_the_whole_of_their_prefixes(run: Run, lan: Lan) -> None:
    for number, each in enumerate(lan.hosts.values()):
        prefix = IPv4Network((int(IPv4Network("10.128.0.0/20")[0]) + 4096 * number, 20))
        docker0 = IPv4Interface((int(prefix[1]), 24))
        pools = tuple(Pool(base, 24) for base in sorted(prefix.address_exclude(docker0.network)))
        each.put(DockerNetworking(docker0, pools))
    status, out, _ = run("init", "--ssh-config", "docker*", "--json")
    assert status == 0
    assert [(each["prefix"], each["bridge"], each["keeps_docker0"]) for each in json.loads(out)["hosts"]] == [
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
    assert (status, missing_facts(err, "group_vars hosts")) == (0, [])
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
    assert missing_facts(left_out(text)["localhost"], "'local' SSH") == []
    assert "docker3" not in text
    assert valid_hosts(run) == ["docker1", "docker-2"]


def test_with_json_a_mistake_on_the_command_line_has_no_line(problems_of_call: Refused, lan: Lan) -> None:
    (problem,) = problems_of_call("init", "a:b")
    assert lan.opened == 0
    assert missing_facts(problem.pop("message"), "'b' 1 65535") == []
    assert problem == {"file": "HOST", "line": None, "column": None, "code": "not-a-number"}


@pytest.mark.parametrize(
    ("words", "code", "facts"),
    [
        ((), "no-hosts", "--ssh-config --ansible"),
        (("--ssh-config", "dockre1"), "unknown-host", "~/.ssh/config 'dockre1' 'docker1'"),
        (("--ansible", "nowhere"), "cannot-read", "nowhere"),
        (("a@b@c",), "bad-address", "'a@b@c'"),
        (("web:ssh",), "not-a-number", "'ssh'"),
        (("root@[fd00::1]:22",), "bad-address", "'root@[fd00::1]:22'"),
        (("fd00::1",), "wrong-family", "'fd00::1'"),
        (("docker1", "docker1"), "duplicate", "docker1 'docker1'"),
        (("docker1", "--pool", "10.0.0.1/8"), "host-bits", "10.0.0.1/8 10.0.0.0/8"),
        (("docker1", "--connection", "becme=sudo"), "unknown-key", "'becme' 'become'"),
        (("docker1", "--connection", "port=x"), "not-a-number", "port 'x'"),
        (("docker1", "--limit", "docker2"), "unknown-host", "--limit 'docker2' 'docker1'"),
        (("docker1", "--limit", "tag:web"), "unknown-tag", "--limit 'web'"),
    ],
)
def test_a_call_that_is_wrong_contacts_nobody(
    problems_of_call: Refused, lan: Lan, words: tuple[str, ...], code: str, facts: str
) -> None:
    (problem,) = problems_of_call("init", *words)
    assert (problem["code"], missing_facts(problem["message"], facts)) == (code, [])
    assert lan.opened == 0


def test_all_that_is_wrong_on_the_command_line_is_told_at_once(problems_of_call: Refused, lan: Lan) -> None:
    found = problems_of_call("init", "a@b@c", "w:x")
    assert [(each["file"], each["code"]) for each in found] == [("HOST", "bad-address"), ("HOST", "not-a-number")]
    found = problems_of_call("init", "docker1", "--connection", "port=x", "--connection", "usr=y")
    assert [(each["file"], each["code"]) for each in found] == [
        ("--connection", "not-a-number"),
        ("--connection", "unknown-key"),
    ]
    (problem,) = problems_of_call("init", "docker1", "--pool", "10.0.0.1/8")
    assert problem["file"] == "--pool"
    assert lan.opened == 0


def test_a_host_of_two_sources_is_named_with_both_places(problems_of_call: Refused, lan: Lan) -> None:
    (problem,) = problems_of_call("init", "--ssh-config", "docker1", "docker1")
    assert (problem["file"], problem["code"], lan.opened) == ("'docker1'", "duplicate", 0)
    assert re.search(r"/\.ssh/config:1\b", problem["message"])


@pytest.mark.usefixtures("lan")
def test_a_pool_that_the_hosts_are_in_themselves_is_told_with_what_takes_it(run: Run) -> None:
    status, _, err = run("init", "docker1", "docker3", "--pool", "192.168.16.0/22")
    assert status == 3
    assert missing_facts(err, "192.168.16.0/20 eth0 docker1 --pool") == []
