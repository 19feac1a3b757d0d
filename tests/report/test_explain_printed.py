"""Explanations as JSON and on the console."""

import json
import re
from io import StringIO

from explanations import explanation, trace_of_request
from printed import CapturedConsole

from dockmesh.core.explain.model import Explanation
from dockmesh.report.console.explain import print_explanation
from dockmesh.report.console.terminal import console
from dockmesh.report.json.explain import explain_document

STOPPED = {"host3-snapshot": {"docker_state": "stopped"}}


def printed_lines(found: Explanation, *, width: int = 160, verbose: bool = False) -> list[str]:
    stream = StringIO()
    out = console(stream)
    out.width = width
    print_explanation(out, found, verbose=verbose)
    assert "\x1b" not in stream.getvalue()
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_document_has_the_keys_of_the_contract() -> None:
    found = explanation(STOPPED)
    document = json.loads(json.dumps(explain_document(found)))
    assert list(document) == ["format", "source", "target", "reached", "steps", "errors", "code", "cause", "remedy"]
    assert (document["format"], document["source"], document["target"]) == ("dockmesh/explain/1", "host1", "host3")
    assert (document["reached"], document["code"]) == (False, "docker-stopped")
    assert found.fault is not None
    assert (document["cause"], document["remedy"]) == (found.fault.cause, found.fault.remedy)
    assert "host3" in document["cause"]
    assert document["remedy"].endswith("systemctl start docker")
    assert document["errors"] == []
    assert len(document["steps"]) == len(found.steps)
    (step,) = (step for step in document["steps"] if step["ok"] is False and step["check"] == "docker")
    assert step == {
        "host": "host3",
        "direction": "there",
        "check": "docker",
        "ok": False,
        "detail": found.fault.cause,
    }


def test_document_has_the_errors_of_unreachable_hosts() -> None:
    document = explain_document(explanation(errors={"host3": "is down"}))
    assert document["errors"] == [{"host": "host3", "code": "unreachable", "error": "is down"}]


def test_reached_target_has_no_cause() -> None:
    document = explain_document(explanation(lost=False))
    assert (document["reached"], document["code"], document["cause"], document["remedy"]) == (True, None, None, None)
    paper = CapturedConsole()
    print_explanation(paper.out, explanation(lost=False, traces=trace_of_request()))
    assert paper.verdict == ({"green"}, [])
    assert re.findall(r"host\d", paper.lines[-1]) == ["host1", "host3"]
    assert not re.search("[✗?]", paper.text)


def test_output_shows_steps_to_the_fault_then_cause_and_remedy() -> None:
    found = explanation(STOPPED)
    assert found.fault is not None
    paper = CapturedConsole(160)
    print_explanation(paper.out, found)
    broken, verdict, cause, remedy = paper.lines[-4:]
    assert broken.split()[:3] == ["✗", "host3", "docker"]
    assert broken.endswith(f" {found.fault.cause}")
    assert re.findall(r"host\d", verdict) == ["host1", "host3"]
    assert paper.colours[-3] == {"red"}
    assert found.fault.code in cause
    assert cause.endswith(f": {found.fault.cause}")
    assert remedy.endswith(f" {found.fault.remedy}")
    marks = [each[0] for each in paper.lines[:-3] if each[0] in "✓✗?"]
    assert marks.count("✗") == 1, "steps after the fault have no failure mark"
    assert len(printed_lines(found, verbose=True)) > len(paper.lines)


def test_long_details_wrap_at_80_columns() -> None:
    assert max(map(len, printed_lines(explanation(STOPPED), width=80))) <= 80


def test_an_unknown_reachability_is_not_printed_as_unreachable() -> None:
    found = explanation(errors={"host1": "no key"})
    assert explain_document(found)["reached"] is None
    paper = CapturedConsole()
    print_explanation(paper.out, found)
    assert paper.colours[-3] == {"yellow"}
    assert re.findall(r"host\d", paper.lines[-3]) == ["host1", "host3"]
    assert "unknown" in paper.lines[-3]
