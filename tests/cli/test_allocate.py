"""`dockmesh allocate`, from the words on the command line to the file on the disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import host
from fakehosts import FakeHost, FakeLan

from dockmesh.cli import contact

Run = Callable[..., tuple[int, str, str]]
TEXT = """\
mesh: {pool: 10.128.0.0/16, prefix_length: 20}   # the pool
hosts:
  docker1:
    address: 192.168.18.1  # rack 1
    tags: [web]
  db: {address: 192.168.18.2, docker: false}
  d2: {address: 192.168.18.3}
"""
WRITTEN = """\
mesh: {pool: 10.128.0.0/16, prefix_length: 20}   # the pool
hosts:
  docker1:
    address: 192.168.18.1  # rack 1
    prefix: 10.128.0.0/20
    tags: [web]
  db: {address: 192.168.18.2, docker: false}
  d2: {address: 192.168.18.3, prefix: 10.128.16.0/20}
"""
PROBED = """\
mesh: {pool: 192.168.0.0/18, prefix_length: 20}
hosts:
  docker1: {address: 192.168.18.1}
  d2: {address: 192.168.18.3, prefix: 10.0.0.0/24}
"""


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCKMESH_INVENTORY", raising=False)
    file = tmp_path / "mesh.yml"
    file.write_text(TEXT)
    return file


def test_prefixes_are_proposed_in_columns_and_nothing_is_written(inventory: Path, run: Run) -> None:
    assert run("allocate") == (
        0,
        "docker1  10.128.0.0/20\nd2       10.128.16.0/20\n2 prefixes proposed; --write puts them into mesh.yml.\n",
        "",
    )
    assert inventory.read_text() == TEXT


def test_prefixes_are_written_amid_comments_and_then_there_is_nothing_to_do(inventory: Path, run: Run) -> None:
    status, out, err = run("allocate", "--write")
    assert (status, out.splitlines()[-1], err) == (0, "2 prefixes written to mesh.yml.", "")
    assert inventory.read_text() == WRITTEN
    assert run("allocate", "--write") == (0, "Nothing to do: every host with Docker has a prefix.\n", "")
    assert run("validate") == (0, "valid: 3 hosts, 2 with a prefix, in mesh.yml\n", "")
    assert inventory.read_text() == WRITTEN


def test_json_is_one_document_that_says_whether_anything_was_written(inventory: Path, run: Run) -> None:
    allocations = [{"host": "docker1", "prefix": "10.128.0.0/20"}, {"host": "d2", "prefix": "10.128.16.0/20"}]
    for words, written, drawn in (([], False, allocations), (["--write"], True, allocations), (["--write"], False, [])):
        status, out, err = run("allocate", "--json", "-i", str(inventory), *words)
        assert (status, err) == (0, "")
        assert json.loads(out) == {"format": "dockmesh/allocate/1", "written": written, "allocations": drawn}


def test_limited_to_some_hosts_the_others_wait(inventory: Path, run: Run) -> None:
    assert run("allocate", "--write", "--limit", "d2")[1].startswith("d2  10.128.0.0/20\n1 prefix written")
    assert run("allocate", "--write")[1].startswith("docker1  10.128.16.0/20\n")
    assert "d2: {address: 192.168.18.3, prefix: 10.128.0.0/20}" in inventory.read_text()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pool: 10.128.0.0/16, ", "", "mesh.yml: no pool to draw prefixes from: write one under mesh"),
        ("10.128.0.0/16", "10.128.0.0/20", "mesh.yml: no /20 is left in the pool 10.128.0.0/20 for 1 of 2 hosts"),
        ("[web]", "[web]\n    prot: 22", "mesh.yml:6:5: unknown key 'prot'; did you mean 'port'?"),
        ("docker: false", "docker: 7, tags: 8", "mesh.yml:6:39: docker '7' is neither true nor false\nmesh.yml:6:48: "),
        ("hosts:", "hosts: [", "mesh.yml:4:12: not valid YAML: "),
    ],
)
def test_what_cannot_be_allocated_is_told_and_nothing_is_written(
    inventory: Path, run: Run, old: str, new: str, told: str
) -> None:
    inventory.write_text(text := TEXT.replace(old, new))
    status, out, err = run("allocate", "--write")
    assert (status, out) == (4, "")
    assert err.startswith(told)
    assert inventory.read_text() == text


def test_without_an_inventory_one_is_asked_for(inventory: Path, run: Run) -> None:
    inventory.unlink()
    status, _, err = run("allocate")
    assert status == 4
    assert "name one with -i FILE or DOCKMESH_INVENTORY" in err


def test_windows_line_ends_stay(inventory: Path, run: Run) -> None:
    inventory.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert run("allocate", "--write")[0] == 0
    assert inventory.read_bytes() == b"\xef\xbb\xbf" + WRITTEN.replace("\n", "\r\n").encode()


def test_a_fleet_of_a_thousand_is_written(inventory: Path, run: Run) -> None:
    hosts = (f"  h{number}:\n    address: 10.0.{number // 250}.{number % 250 + 1}\n" for number in range(1000))
    inventory.write_text(f"mesh: {{pool: 10.128.0.0/9, prefix_length: 20}}\nhosts:\n{''.join(hosts)}")
    assert run("allocate", "--write")[1].endswith("\n1000 prefixes written to mesh.yml.\n")
    assert run("validate")[1] == "valid: 1000 hosts, 1000 with a prefix, in mesh.yml\n"


@pytest.fixture
def lan(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLan:
    """The hosts that the inventory leads to, in memory; each is in 192.168.16.0/20."""
    inventory.write_text(PROBED)
    hosts = FakeLan(
        {each.name: FakeHost(each) for each in (host("docker1", "192.168.18.1"), host("d2", "192.168.18.3"))}
    )
    monkeypatch.setattr(contact, "SshTransport", lambda *_, **__: hosts)
    return hosts


def test_probing_keeps_clear_of_the_networks_hosts_are_in(inventory: Path, run: Run, lan: FakeLan) -> None:
    inventory.write_text(
        text := PROBED.replace("192.168.0.0/18", "192.168.24.0/21").replace("length: 20", "length: 23")
    )
    assert "docker1  192.168.24.0/23" in run("allocate")[1]
    assert lan.opened == 0
    status, out, err = run("allocate", "--probe", "--write")
    assert (status, out) == (3, "")
    assert "no /23 is left" in err
    assert "192.168.16.0/20 on eth0 of docker1" in err
    assert inventory.read_text() == text
    inventory.write_text(PROBED)
    assert run("allocate", "--probe", "--write")[0] == 0
    assert "docker1: {address: 192.168.18.1, prefix: 192.168.0.0/20}" in inventory.read_text()
    assert lan.opened == 4


def test_one_host_that_cannot_be_read_keeps_all_from_getting_a_prefix(inventory: Path, run: Run, lan: FakeLan) -> None:
    lan.hosts["d2"].down = True
    status, out, err = run("allocate", "--probe", "--write", "--limit", "docker1")
    assert (status, out) == (3, "")
    assert "no prefix is drawn and nothing is written, for the networks of 1 host are not known:" in err
    assert "d2: 192.168.18.3 does not answer" in err
    assert inventory.read_text() == PROBED


def test_nobody_is_probed_where_nobody_lacks_a_prefix(run: Run, lan: FakeLan) -> None:
    assert run("allocate", "--probe", "--limit", "d2")[1] == "Nothing to do: every host with Docker has a prefix.\n"
    assert lan.opened == 0
