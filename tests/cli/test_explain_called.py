"""`dockmesh explain`, from the words on the command line to the exit status; the hosts' part is recorded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from explained import LOST, Changes, evidence

from dockmesh.core.explain.evidence import Evidence
from dockmesh.core.explain.model import Question
from dockmesh.pipeline import Pipeline

Run = Callable[..., tuple[int, str, str]]


def brought(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Changes]) -> None:
    def look(_pipeline: Pipeline, question: Question) -> Evidence:
        assert [end.host.name for end in question.ends] == ["host1", "host3"]
        return evidence(changes)

    monkeypatch.setattr(Pipeline, "look", look)


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(("changes", "status"), [({}, 0), ({"host1-probe": {"ping": (1, LOST)}}, 3)])
def test_the_exit_status_says_whether_the_probe_came_home(
    run: Run, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Changes], status: int
) -> None:
    brought(monkeypatch, changes)
    assert run("explain", "host1", "host3")[0] == status
    code, out, _err = run("explain", "host1", "host3", "--json")
    assert (code, json.loads(out)["reached"]) == (status, status == 0)


@pytest.mark.parametrize(
    "words", [("host1",), ("host1", "host1"), ("host1", "nobody"), ("host1:-x", "host3"), ("host1", "host3", "-l", "*")]
)
def test_a_call_that_cannot_be_meant_contacts_nobody(run: Run, mesh: Path, words: tuple[str, ...]) -> None:
    assert mesh.exists()
    assert run("explain", *words)[0] == 4
