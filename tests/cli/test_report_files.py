"""Reports beside the table: where they are written, and what is said where they cannot be."""

import json
import os
import re
from pathlib import Path
from stat import S_IMODE

import pytest
import results
from conftest import Refused, Run
from fakehosts import FakeLan
from refusals import missing_facts

from dockmesh.cli import cli
from dockmesh.errors import UsageError

FILES = ("--junit", "r/mesh.xml", "--markdown", "r/mesh.md", "--prometheus", "r/mesh.prom", "--html", "r/mesh.html")
BEGINNINGS = {"mesh.xml": "<?xml", "mesh.md": "## ", "mesh.prom": "# HELP dockmesh_", "mesh.html": "<!doctype html>"}


@pytest.fixture
def folder(mesh: Path) -> Path:
    folder = mesh.parent / "r"
    folder.mkdir()
    return folder


def refusal(*words: str) -> str | None:
    """The code of what is wrong with a call, also of a verb without documents."""
    with pytest.raises(UsageError) as caught:
        cli.main(list(words), prog_name="dockmesh", standalone_mode=False)
    return caught.value.code


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
    assert re.findall(r"\d+", out.splitlines()[-1]) == ["21"]
    assert beginnings(folder) == BEGINNINGS
    assert missing_facts((folder / "mesh.md").read_text(), "✅ mesh 21") == []


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
    ("words", "code", "facts"),
    [
        (("--junit", "nowhere/mesh.xml"), "no-folder", "nowhere/mesh.xml"),
        (("--junit", "mesh.yml/mesh.xml"), "no-folder", "mesh.yml/mesh.xml"),
        (("--markdown", "pipe"), "not-a-file", "pipe"),
        (("--markdown", "r/a", "--junit", "r/../r/a"), "same-file", "r/../r/a"),
    ],
)
@pytest.mark.parametrize("verb", [("status",), ("apply", "--yes")])
def test_a_file_that_cannot_be_is_told_before_anyone_is_contacted(
    *,
    problems_of_call: Refused,
    lan: FakeLan,
    folder: Path,
    verb: tuple[str, ...],
    words: tuple[str, ...],
    code: str,
    facts: str,
) -> None:
    os.mkfifo(folder.parent / "pipe")
    (problem,) = problems_of_call(*verb, *words)
    assert problem["code"] == code
    assert missing_facts(problem["message"], facts) == []
    assert lan.opened == 0


@pytest.mark.parametrize("verb", [("status",), ("apply", "--yes")])
def test_a_report_goes_into_no_folder(run: Run, lan: FakeLan, folder: Path, verb: tuple[str, ...]) -> None:
    status, out, err = run(*verb, "--markdown", folder.name)
    assert (status, out, lan.opened) == (4, "", 0)
    assert missing_facts(err, "--markdown 'r'") == []


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
    assert re.findall(r"\d+", out.splitlines()[-1]) == ["21"]
    assert missing_facts(err, "r/mesh.xml") == []
    assert "No space left on device" in err
    assert "mesh.md" not in err
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
    assert missing_facts(err, "--html --markdown --junit --prometheus") == []
    assert refusal("report", "a.json") == "missing-option"


def test_two_saved_results_are_compared_and_only_a_loss_ends_with_3(run: Run, mesh: Path) -> None:
    for name, what in {"a": {}, "b": {"cut": ["host2"]}}.items():
        (mesh.parent / f"{name}.json").write_text(json.dumps(results.document(3, **what)))
    status, out, _ = run("diff", "a.json", "b.json")
    assert status == 3
    lost = next(line for line in out.splitlines() if line.startswith("✗ host1 → host2 "))
    assert missing_facts(lost, "host-bridge host-container container-container") == []
    assert run("diff", "b.json", "a.json")[0] == 0
    assert run("diff", "b.json", "b.json")[0] == 0
    status, out, _ = run("diff", "a.json", "b.json", "--json")
    assert status == 3
    assert json.loads(out)["summary"]["lost"] == 9


@pytest.mark.parametrize("verb", [("diff", "a.json", "none.json"), ("report", "none.json", "--markdown", "a.md")])
@pytest.mark.parametrize(("text", "code"), [(None, "cannot-read"), ("<html>", "not-a-result")])
def test_what_is_no_saved_result_is_told(
    run: Run, mesh: Path, verb: tuple[str, ...], text: str | None, code: str
) -> None:
    (mesh.parent / "a.json").write_text(json.dumps(results.document(2)))
    if text is not None:
        (mesh.parent / "none.json").write_text(text)
    status, out, err = run(*verb)
    assert (status, out) == (4, "")
    assert missing_facts(err, "none.json") == []
    assert refusal(*verb) == code
    assert not (mesh.parent / "a.md").exists()


@pytest.mark.usefixtures("mesh")
def test_with_json_a_mistake_of_diff_is_a_document_too(problems_of_call: Refused) -> None:
    (problem,) = problems_of_call("diff", "a.json", "b.json")
    assert (problem["code"], missing_facts(problem["message"], "a.json")) == ("cannot-read", [])
