"""`dockmesh allocate`, from the words on the command line to the file on the disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

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
