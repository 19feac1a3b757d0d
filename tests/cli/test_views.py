"""Reports beside the table: where they are written, and what is said where they cannot be."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from stat import S_IMODE

import pytest
import results
from fakehosts import FakeLan

Run = Callable[..., tuple[int, str, str]]
FILES = ("--junit", "r/mesh.xml", "--markdown", "r/mesh.md", "--prometheus", "r/mesh.prom", "--html", "r/mesh.html")
BEGINNINGS = {"mesh.xml": "<?xml", "mesh.md": "## ", "mesh.prom": "# HELP dockmesh_", "mesh.html": "<!doctype html>"}


@pytest.fixture
def folder(mesh: Path) -> Path:
    folder = mesh.parent / "r"
    folder.mkdir()
    return folder


def beginnings(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text()[: len(BEGINNINGS[file.name])] for file in folder.iterdir()}


@pytest.fixture
def joined(lan: FakeLan, run: Run) -> FakeLan:
    assert run("apply", "--yes")[0] == 0
    return lan


@pytest.mark.usefixtures("joined")
def test_status_writes_all_that_is_asked_for_beside_the_table(run: Run, folder: Path) -> None:
    status, out, _ = run("status", *FILES)
    assert status == 0
    assert "All 21 probes reached" in out
    assert beginnings(folder) == BEGINNINGS
    assert "✅ mesh: all 21 probes reached" in (folder / "mesh.md").read_text()


def test_they_are_written_also_where_probes_fail(run: Run, joined: FakeLan, folder: Path) -> None:
    joined.hosts["host2"].down = True
    status, out, _ = run("status", "--json", *FILES)
    assert status == 3
    assert json.loads(out)["summary"]["failed"] > 0
    assert beginnings(folder) == BEGINNINGS
    assert "❌ mesh: " in (folder / "mesh.md").read_text()


@pytest.mark.usefixtures("lan")
def test_apply_ends_with_the_same_reports_and_with_json_still_prints_one_document(run: Run, folder: Path) -> None:
    status, out, _ = run("apply", "--yes", "--json", *FILES)
    assert status == 0
    assert json.loads(out)["status"]["summary"] == {"probes": 21, "reached": 21, "failed": 0}
    assert beginnings(folder) == BEGINNINGS


@pytest.mark.usefixtures("lan")
def test_an_apply_that_is_declined_writes_none(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.confirm", lambda *_words, **_options: False)
    assert run("apply", *FILES)[0] == 130
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--junit", "nowhere/mesh.xml"), "there is no folder "),
        (("--junit", "mesh.yml/mesh.xml"), "there is no folder "),
        (("--markdown", "r"), "is a directory"),
        (("--markdown", "pipe"), "pipe: not a regular file"),
        (("--markdown", "r/a", "--junit", "r/../r/a"), "two reports cannot go into one file"),
    ],
)
@pytest.mark.parametrize("verb", [("status",), ("apply", "--yes")])
def test_a_file_that_cannot_be_is_told_before_anyone_is_contacted(
    *, run: Run, lan: FakeLan, folder: Path, verb: tuple[str, ...], words: tuple[str, ...], told: str
) -> None:
    os.mkfifo(folder.parent / "pipe")
    status, out, err = run(*verb, *words)
    assert (status, out) == (4, "")
    assert told in err
    assert lan.opened == 0


@pytest.mark.usefixtures("joined")
def test_a_file_that_cannot_be_written_in_the_end_keeps_neither_the_table_nor_the_others_from_us(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(self: Path, target: Path) -> Path:
        if target.suffix == ".xml":
            raise OSError(28, "No space left on device")
        os.rename(self, target)  # noqa: PTH104
        return target

    monkeypatch.setattr(Path, "replace", replace)
    status, out, err = run("status", *FILES)
    assert status == 4
    assert "All 21 probes reached" in out
    assert "r/mesh.xml: No space left on device: the report could not be written" in err
    assert {file.name for file in folder.iterdir()} == {"mesh.md", "mesh.prom", "mesh.html"}


@pytest.mark.usefixtures("joined")
def test_a_new_file_is_everybodys_to_read_and_one_that_is_there_keeps_its_mode_and_its_symlink(
    run: Run, folder: Path
) -> None:
    (folder / "old.md").write_text("old")
    (folder / "old.md").chmod(0o600)
    (folder / "link.xml").symlink_to("new.xml")
    mask = os.umask(0o022)
    try:
        assert run("status", "--junit", "r/link.xml", "--markdown", "r/old.md", "--prometheus", "r/a.prom")[0] == 0
    finally:
        os.umask(mask)
    modes = {file.name: S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes == {"old.md": 0o600, "new.xml": 0o644, "link.xml": 0o644, "a.prom": 0o644}
    assert (folder / "link.xml").is_symlink()


def test_a_saved_result_is_reported_without_contacting_anyone(run: Run, lan: FakeLan, folder: Path) -> None:
    (folder.parent / "a.json").write_text(json.dumps(results.document(3)))
    assert run("report", "a.json", *FILES) == (0, "", "")
    assert beginnings(folder) == BEGINNINGS
    assert lan.opened == 0
    status, _, err = run("report", "a.json")
    assert status == 4
    assert "report writes files" in err


def test_two_saved_results_are_compared_and_only_a_loss_ends_with_3(run: Run, mesh: Path) -> None:
    for name, what in {"a": {}, "b": {"cut": ["host2"]}}.items():
        (mesh.parent / f"{name}.json").write_text(json.dumps(results.document(3, **what)))
    status, out, _ = run("diff", "a.json", "b.json")
    assert status == 3
    assert "✗ host1 → host2 lost: host-bridge, host-container, container-container (no reply)" in out
    assert run("diff", "b.json", "a.json")[0] == 0
    assert run("diff", "b.json", "b.json")[0] == 0
    status, out, _ = run("diff", "a.json", "b.json", "--json")
    assert status == 3
    assert json.loads(out)["summary"]["lost"] == 9


@pytest.mark.parametrize("verb", [("diff", "a.json", "none.json"), ("report", "none.json", "--markdown", "a.md")])
@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "none.json: No such file or directory"), ("<html>", "none.json: no document of status --json")],
)
def test_what_is_no_saved_result_is_told(
    run: Run, mesh: Path, verb: tuple[str, ...], text: str | None, told: str
) -> None:
    (mesh.parent / "a.json").write_text(json.dumps(results.document(2)))
    if text is not None:
        (mesh.parent / "none.json").write_text(text)
    status, out, err = run(*verb)
    assert (status, out) == (4, "")
    assert told in err
    assert not (mesh.parent / "a.md").exists()


@pytest.mark.usefixtures("mesh")
def test_with_json_a_mistake_of_diff_is_a_document_too(run: Run) -> None:
    status, out, _ = run("diff", "a.json", "b.json", "--json")
    assert status == 4
    assert json.loads(out)["problems"][0]["message"] == "a.json: No such file or directory: the result cannot be read"
