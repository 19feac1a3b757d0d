"""Templates of the user's own in $DOCKMESH_TEMPLATES: used where they fit, refused by name where they do not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import results
from conftest import Refused, Run
from fakehosts import FakeLan
from refusals import missing_facts

from dockmesh import assets
from dockmesh.report import html

TIMER, PAGE, STYLE = "dockmesh.timer.j2", "report/page.html.j2", "report/page.css"


@pytest.fixture
def template_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "templates"
    (folder / "report").mkdir(parents=True)
    monkeypatch.setenv(assets.VARIABLE, str(folder))
    assets.template.cache_clear()
    yield folder
    assets.template.cache_clear()


def copy_template(folder: Path, name: str, *, change: tuple[str, str] = ("", "")) -> Path:
    text = (assets.FOLDER / name).read_text()
    assert change[0] in text
    (folder / name).write_text(text.replace(*change, 1))
    return folder / name


def test_templates_of_ones_own_take_the_place_of_dockmeshs(template_folder: Path) -> None:
    copy_template(template_folder, TIMER, change=("AccuracySec=1s", "AccuracySec=2s"))
    copy_template(template_folder, STYLE, change=("*/\n", "*/\n.of-our-own { color: red }\n"))
    copy_template(template_folder, PAGE, change=("dockmesh status", "the status of ours"))
    assets.check()
    assert "AccuracySec=2s" in assets.template(TIMER)
    page = html.render(results.result(3))
    assert ".of-our-own" in page
    assert "the status of ours" in page
    assert assets.template("dockmesh.service.j2") == (assets.FOLDER / "dockmesh.service.j2").read_text()


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(
    ("name", "change", "code", "facts"),
    [
        (TIMER, ("version 1", "version 7"), "template-version", "dockmesh.timer.j2 7 1"),
        (TIMER, ("{#- dockmesh", "{#- no"), "template-version", "1"),
        (TIMER, ("timer.j2 version", "service.j2 version"), "template-version", "dockmesh.service.j2 1"),
        (TIMER, ("{{ interval_s }}", "{{ interval_m }}"), "template-variable", "interval_m interval_s"),
        (TIMER, ("{{ interval_s }}", "{{ interval_s"), "bad-template", ""),
        (TIMER, ("{{ interval_s }}", "{{ interval_s.minutes }}"), "bad-template", "minutes"),
        (PAGE, ("{{ size_class }}", "{{ size_classes }}"), "template-variable", "size_classes size_class"),
        (STYLE, ("version 1", "version 2"), "template-version", "report/page.css 2"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_by_name(
    *, template_folder: Path, problems_of_call: Refused, name: str, change: tuple[str, str], code: str, facts: str
) -> None:
    file = copy_template(template_folder, name, change=change)
    for words in (("validate",), ("plan",), ("status", "--html", "mesh.html")):
        (problem,) = problems_of_call(*words)
        assert problem["code"] == code
        assert problem["message"].startswith(str(file))
        assert missing_facts(problem["message"].removeprefix(str(file)), facts) == []


def test_a_syntax_error_in_a_template_is_named_with_its_line(
    template_folder: Path, mesh: Path, problems_of_call: Refused
) -> None:
    assert mesh.exists()
    file = copy_template(template_folder, TIMER, change=("{{ interval_s }}", "{{ interval_s"))
    line = next(at for at, text in enumerate(file.read_text().splitlines(), 1) if "{{ interval_s" in text)
    assert problems_of_call("validate")[0]["message"].startswith(f"{file}:{line}: ")


@pytest.mark.parametrize("name", ["daemon.json.j2", "facts.sh", "dockmesh.timer", "report/page.js"])
def test_what_cannot_be_replaced_is_told(
    template_folder: Path, mesh: Path, problems_of_call: Refused, name: str
) -> None:
    assert mesh.exists()
    (template_folder / name).write_text("")
    (problem,) = problems_of_call("validate")
    assert problem["code"] == "unknown-template"
    assert missing_facts(problem["message"], f"{template_folder / name} {TIMER} {PAGE} {STYLE}") == []


def test_hidden_files_beside_templates_are_passed_over(template_folder: Path) -> None:
    (template_folder / ".git").mkdir()
    (template_folder / ".git" / "config").write_text("")
    assets.check()


@pytest.mark.usefixtures("mesh")
def test_a_folder_that_is_not_there_is_told(
    template_folder: Path, problems_of_call: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assets.VARIABLE, f"{template_folder}/nowhere")
    (problem,) = problems_of_call("validate")
    assert problem["code"] == "no-folder"
    assert f"{template_folder}/nowhere" in problem["message"]
    assert "$DOCKMESH_TEMPLATES" in problem["message"]


def test_a_page_that_takes_a_variable_for_what_it_is_not_is_told(template_folder: Path, lan: FakeLan, run: Run) -> None:
    assert lan
    file = copy_template(template_folder, PAGE, change=("result.mesh", "result.nothing"))
    status, _, err = run("status", "--html", "mesh.html")
    assert status == 4
    assert err.splitlines()[-1].startswith(f"{file}: ")


def test_copies_of_all_templates_that_can_be_replaced_are_good(template_folder: Path) -> None:
    names = [head.name for head in assets.replaceable()]
    assert sorted(names) == sorted(["dockmesh.service.j2", TIMER, PAGE, STYLE])
    for name in names:
        copy_template(template_folder, name)
    assets.check()
