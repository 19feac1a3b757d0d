"""Templates of the user's own in $DOCKMESH_TEMPLATES: used where they fit, refused by name where they do not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import results
from fakehosts import FakeLan

from dockmesh import assets
from dockmesh.report import html

Run = Callable[..., tuple[int, str, str]]
TIMER, PAGE, STYLE = "dockmesh.timer.j2", "report/page.html.j2", "report/page.css"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "templates"
    (folder / "report").mkdir(parents=True)
    monkeypatch.setenv(assets.VARIABLE, str(folder))
    assets.template.cache_clear()
    yield folder
    assets.template.cache_clear()


def copied(folder: Path, name: str, *, change: tuple[str, str] = ("", "")) -> Path:
    text = (assets.FOLDER / name).read_text()
    assert change[0] in text
    (folder / name).write_text(text.replace(*change, 1))
    return folder / name


def test_templates_of_ones_own_take_the_place_of_dockmeshs(own: Path) -> None:
    copied(own, TIMER, change=("AccuracySec=1s", "AccuracySec=2s"))
    copied(own, STYLE, change=("*/\n", "*/\n.of-our-own { color: red }\n"))
    copied(own, PAGE, change=("dockmesh status", "the status of ours"))
    assets.check()
    assert "AccuracySec=2s" in assets.template(TIMER)
    page = html.render(results.result(3))
    assert ".of-our-own" in page
    assert "the status of ours" in page
    assert assets.template("dockmesh.service.j2") == (assets.FOLDER / "dockmesh.service.j2").read_text()


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (TIMER, ("version 1", "version 7"), "it is of dockmesh.timer.j2 version 7, and here is version 1"),
        (TIMER, ("{#- dockmesh", "{#- no"), "its first line says of no version"),
        (TIMER, ("timer.j2 version", "service.j2 version"), "it is of dockmesh.service.j2 version 1"),
        (TIMER, ("{{ every_s }}", "{{ every_m }}"), "no variable is called 'every_m'; there are: every_s"),
        (TIMER, ("{{ every_s }}", "{{ every_s"), "expected token"),
        (TIMER, ("{{ every_s }}", "{{ every_s.minutes }}"), "has no attribute 'minutes'"),
        (PAGE, ("{{ size }}", "{{ sizes }}"), "no variable is called 'sizes'"),
        (STYLE, ("version 1", "version 2"), "report/page.css version 2"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_by_name(
    own: Path, run: Run, name: str, change: tuple[str, str], told: str
) -> None:
    file = copied(own, name, change=change)
    for words in (("validate",), ("plan",), ("status", "--html", "mesh.html")):
        status, _, err = run(*words)
        assert status == 4
        assert err.startswith(str(file))
        assert told in err


@pytest.mark.parametrize("name", ["daemon.json.j2", "facts.sh", "dockmesh.timer", "report/page.js"])
def test_what_cannot_be_replaced_is_told(own: Path, mesh: Path, run: Run, name: str) -> None:
    assert mesh.exists()
    (own / name).write_text("")
    status, out, err = run("validate", "--json")
    assert status == 4
    assert f"{own / name}: this is none of the templates that can be replaced" in err
    assert json.loads(out)["format"] == "dockmesh/problems/1"


def test_hidden_files_beside_templates_are_passed_over(own: Path) -> None:
    (own / ".git").mkdir()
    (own / ".git" / "config").write_text("")
    assets.check()


def test_a_folder_that_is_not_there_is_told(own: Path, mesh: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mesh.exists()
    monkeypatch.setenv(assets.VARIABLE, f"{own}/nowhere")
    status, _, err = run("validate")
    assert (status, err) == (4, f"{own}/nowhere: there is no such folder, and $DOCKMESH_TEMPLATES names it\n")


def test_a_page_that_takes_a_variable_for_what_it_is_not_is_told(own: Path, lan: FakeLan, run: Run) -> None:
    assert lan
    file = copied(own, PAGE, change=("result.mesh", "result.nothing"))
    status, _, err = run("status", "--html", "mesh.html")
    assert status == 4
    assert err.splitlines()[-1].startswith(f"{file}: ")


def test_copies_of_all_templates_that_can_be_replaced_are_good(own: Path) -> None:
    names = [head.name for head in assets.replaceable()]
    assert sorted(names) == sorted(["dockmesh.service.j2", TIMER, PAGE, STYLE])
    for name in names:
        copied(own, name)
    assets.check()
