"""`dockmesh explain`, from the words on the command line to the exit status; the hosts' part is recorded."""

import json

import pytest
from conftest import Refused, Run
from explanations import LOST, Changes, evidence
from fakehosts import FakeLan

from dockmesh.core.explain.evidence import Evidence
from dockmesh.core.explain.model import ExplainQuery
from dockmesh.pipeline import Pipeline


def fake_explain(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Changes]) -> None:
    def look(_pipeline: Pipeline, question: ExplainQuery) -> Evidence:
        assert [end.host.name for end in question.ends] == ["host1", "host3"]
        return evidence(changes)

    monkeypatch.setattr(Pipeline, "explain", look)


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(("changes", "status"), [({}, 0), ({"host1-probe": {"ping": (1, LOST)}}, 3)])
def test_the_exit_status_says_whether_the_probe_came_home(
    run: Run, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Changes], status: int
) -> None:
    fake_explain(monkeypatch, changes)
    assert run("explain", "host1", "host3")[0] == status
    code, out, _err = run("explain", "host1", "host3", "--json")
    assert (code, json.loads(out)["reached"]) == (status, status == 0)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("host1", "host1"), "same-host"),
        (("host1", "nobody"), "unknown-host"),
        (("host1:-x", "host3"), "bad-container"),
        (("host1", "host3", "-l", "*"), "conflicting-options"),
    ],
)
def test_a_call_that_cannot_be_meant_contacts_nobody(
    problems_of_call: Refused, lan: FakeLan, words: tuple[str, ...], code: str
) -> None:
    assert [each["code"] for each in problems_of_call("explain", *words)] == [code]
    assert lan.opened == 0


def test_two_ends_are_needed(run: Run, lan: FakeLan) -> None:
    assert (run("explain", "host1")[0], lan.opened) == (4, 0)
