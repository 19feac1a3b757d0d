"""`dockmesh allocate`, from the words on the command line to the file on the disk."""

import json
from pathlib import Path

import pytest
from builders import host
from conftest import Refused, Run
from fakehosts import FakeHost, FakeLan
from refusals import missing_facts

from dockmesh.cli import open_run

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
    status, out, err = run("allocate")
    assert (status, err) == (0, "")
    *hosts, total = out.splitlines()
    assert [line.split() for line in hosts] == [["docker1", "10.128.0.0/20"], ["d2", "10.128.16.0/20"]]
    assert hosts[0].index("10.") == hosts[1].index("10.")
    assert missing_facts(total, "2 --write mesh.yml") == []
    assert inventory.read_text() == TEXT


def test_prefixes_are_written_amid_comments_and_then_there_is_nothing_to_do(inventory: Path, run: Run) -> None:
    status, out, err = run("allocate", "--write")
    assert (status, err) == (0, "")
    assert missing_facts(out.splitlines()[-1], "2 mesh.yml") == []
    assert inventory.read_text() == WRITTEN
    status, out, err = run("allocate", "--write")
    assert (status, len(out.splitlines()), err) == (0, 1, "")
    status, out, err = run("validate")
    assert (status, err) == (0, "")
    assert missing_facts(out, "3 2 mesh.yml") == []
    assert inventory.read_text() == WRITTEN


def test_json_is_one_document_that_says_whether_anything_was_written(inventory: Path, run: Run) -> None:
    allocations = [{"host": "docker1", "prefix": "10.128.0.0/20"}, {"host": "d2", "prefix": "10.128.16.0/20"}]
    for words, written, drawn in (([], False, allocations), (["--write"], True, allocations), (["--write"], False, [])):
        status, out, err = run("allocate", "--json", "-i", str(inventory), *words)
        assert (status, err) == (0, "")
        assert json.loads(out) == {"format": "dockmesh/allocate/1", "written": written, "allocations": drawn}


def test_limited_to_some_hosts_the_others_wait(inventory: Path, run: Run) -> None:
    first, total = run("allocate", "--write", "--limit", "d2")[1].splitlines()
    assert (first.split(), missing_facts(total, "1 mesh.yml")) == (["d2", "10.128.0.0/20"], [])
    assert run("allocate", "--write")[1].splitlines()[0].split() == ["docker1", "10.128.16.0/20"]
    assert "d2: {address: 192.168.18.3, prefix: 10.128.0.0/20}" in inventory.read_text()


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("pool: 10.128.0.0/16, ", "", [(None, None, "no-pool")]),
        ("10.128.0.0/16", "10.128.0.0/20", [(None, None, "pool-exhausted")]),
        ("[web]", "[web]\n    prot: 22", [(6, 5, "unknown-key")]),
        ("docker: false", "docker: 7, tags: 8", [(6, 39, "not-a-boolean"), (6, 48, "wrong-type")]),
        ("hosts:", "hosts: [", [(4, 12, "syntax")]),
    ],
)
def test_what_cannot_be_allocated_is_told_and_nothing_is_written(
    inventory: Path, problems_of_call: Refused, old: str, new: str, problems: list[tuple[int | None, int | None, str]]
) -> None:
    inventory.write_text(text := TEXT.replace(old, new))
    found = problems_of_call("allocate", "--write")
    assert [(each["line"], each["column"], each["code"]) for each in found] == problems
    assert all("mesh.yml" in (each["file"] or each["message"]) for each in found)
    assert inventory.read_text() == text


def test_a_pool_with_too_little_left_is_named_with_its_figures(inventory: Path, problems_of_call: Refused) -> None:
    inventory.write_text(TEXT.replace("10.128.0.0/16", "10.128.0.0/20"))
    assert missing_facts(problems_of_call("allocate")[0]["message"], "mesh.yml /20 10.128.0.0/20 1 2 d2") == []


def test_without_an_inventory_one_is_asked_for(inventory: Path, problems_of_call: Refused) -> None:
    inventory.unlink()
    (problem,) = problems_of_call("allocate")
    assert problem["code"] == "no-inventory"
    assert missing_facts(problem["message"], "-i DOCKMESH_INVENTORY mesh.yml") == []


def test_windows_line_ends_stay(inventory: Path, run: Run) -> None:
    inventory.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert run("allocate", "--write")[0] == 0
    assert inventory.read_bytes() == b"\xef\xbb\xbf" + WRITTEN.replace("\n", "\r\n").encode()


def test_a_fleet_of_a_thousand_is_written(inventory: Path, run: Run) -> None:
    hosts = (f"  h{number}:\n    address: 10.0.{number // 250}.{number % 250 + 1}\n" for number in range(1000))
    inventory.write_text(f"mesh: {{pool: 10.128.0.0/9, prefix_length: 20}}\nhosts:\n{''.join(hosts)}")
    *written, total = run("allocate", "--write")[1].splitlines()
    assert (len(written), missing_facts(total, "1000 mesh.yml")) == (1000, [])
    assert run("validate")[1].count("1000") == 2


@pytest.fixture
def lan(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLan:
    """The hosts that the inventory leads to, in memory; each is in 192.168.16.0/20."""
    inventory.write_text(PROBED)
    hosts = FakeLan(
        {each.name: FakeHost(each) for each in (host("docker1", "192.168.18.1"), host("d2", "192.168.18.3"))}
    )
    monkeypatch.setattr(open_run, "SshTransport", lambda *_, **__: hosts)
    return hosts


def test_probing_keeps_clear_of_the_networks_hosts_are_in(inventory: Path, run: Run, lan: FakeLan) -> None:
    inventory.write_text(
        text := PROBED.replace("192.168.0.0/18", "192.168.24.0/21").replace("length: 20", "length: 23")
    )
    assert run("allocate")[1].split()[:2] == ["docker1", "192.168.24.0/23"]
    assert lan.opened == 0
    status, out, err = run("allocate", "--probe", "--write")
    assert (status, out) == (3, "")
    assert missing_facts(err, "/23 192.168.16.0/20 eth0 docker1") == []
    assert inventory.read_text() == text
    inventory.write_text(PROBED)
    assert run("allocate", "--probe", "--write")[0] == 0
    assert "docker1: {address: 192.168.18.1, prefix: 192.168.0.0/20}" in inventory.read_text()
    assert lan.opened == 4


def test_one_host_that_cannot_be_read_keeps_all_from_getting_a_prefix(inventory: Path, run: Run, lan: FakeLan) -> None:
    lan.hosts["d2"].down = True
    status, out, err = run("allocate", "--probe", "--write", "--limit", "docker1")
    assert (status, out) == (3, "")
    (told,) = (line for line in err.splitlines() if "192.168.18.3" in line)
    assert missing_facts(told, "d2 192.168.18.3") == []
    assert missing_facts(err, "1 --probe") == []
    assert inventory.read_text() == PROBED


def test_nobody_is_probed_where_nobody_lacks_a_prefix(run: Run, lan: FakeLan) -> None:
    status, out, _ = run("allocate", "--probe", "--limit", "d2", "--json")
    assert (status, json.loads(out)["allocations"]) == (0, [])
    assert lan.opened == 0
