"""Inventories of several files and of folders, as they are named on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
MESH = "mesh: {pool: 10.128.0.0/16, prefix_length: 20}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCKMESH_INVENTORY", raising=False)
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "b.yml").write_text("hosts: {b1: {address: 192.0.2.1}}\n")
    (folder / "a.yaml").write_text("hosts: {a1: {address: 192.0.2.2, prefix: 10.0.0.0/24}}\n")
    (folder / "mesh.yml").write_text(MESH)
    (folder / ".#b.yml").write_text("what an editor leaves")
    (folder / "notes.txt").write_text("no inventory")
    return folder


def hosts(told: tuple[int, str, str]) -> list[str]:
    assert told[0] == 0, told
    names: list[str] = json.loads(told[1])["hosts"]
    return names


def test_allocate_writes_into_the_file_of_a_folder_that_the_host_stands_in(folder: Path, run: Run) -> None:
    status, out, _ = run("allocate", "-i", "fleet", "--write")
    assert (status, out.splitlines()[-1]) == (0, "1 prefix written to fleet/b.yml.")
    assert (folder / "b.yml").read_text() == "hosts: {b1: {address: 192.0.2.1, prefix: 10.128.0.0/20}}\n"
    assert (folder / "mesh.yml").read_text() == MESH
    assert run("validate", "-i", "fleet")[1] == (
        "valid: 2 hosts, 2 with a prefix, in fleet/a.yaml, fleet/b.yml, fleet/mesh.yml\n"
    )


def test_files_are_read_in_the_order_given_and_those_of_a_folder_by_name(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b.yml").write_text("hosts: {b1: {address: 192.0.2.1, docker: false}}\n")
    assert hosts(run("validate", "-i", "fleet", "--json")) == ["a1", "b1"]
    assert hosts(run("validate", "-i", "fleet/b.yml", "-i", "fleet/a.yaml", "--json")) == ["b1", "a1"]
    assert hosts(run("validate", "-i", "fleet/b.yml", "-i", "fleet", "--json")) == ["b1", "a1"]
    monkeypatch.setenv("DOCKMESH_INVENTORY", "fleet/b.yml:fleet/a.yaml")
    assert hosts(run("validate", "--json")) == ["b1", "a1"]


def test_mistakes_are_named_with_the_file_they_are_in(folder: Path, run: Run) -> None:
    (folder / "b.yml").write_text("hosts:\n  a1: {address: 192.0.2.1, colour: red}\n")
    status, _, err = run("validate", "-i", "fleet")
    assert (status, err.splitlines()) == (
        4,
        [
            "fleet/b.yml:2:3: host a1 stands in fleet/a.yaml:1:9 already",
            "fleet/b.yml:2:28: unknown key 'colour'; known here: " + err.partition("known here: ")[2].splitlines()[0],
        ],
    )
    (folder / "a.yaml").write_text("hosts: [\n")
    (folder / "b.yml").write_text("")
    status, _, err = run("validate", "-i", "fleet")
    assert [line.split(": ")[0] for line in err.splitlines()] == ["fleet/a.yaml:2:1", "fleet/b.yml:1:1"]


def test_a_folder_without_an_inventory_is_told(tmp_path: Path, folder: Path, run: Run) -> None:
    (tmp_path / "empty").mkdir()
    assert run("validate", "-i", "empty")[2] == (
        "empty: no inventory is in this folder: its files end in .yml or .yaml\n"
    )
    assert run("validate", "-i", str(folder / "nowhere"))[0] == 4
