"""An explanation as scripts and people get it."""

import json
from io import StringIO

from explained import explained

from dockmesh.core.explain.model import Explained
from dockmesh.report.console import console
from dockmesh.report.explain import explain_document, print_explained

STOPPED = {"host3-look": {"docker": "stopped"}}


def shown(found: Explained, *, width: int = 160, verbose: bool = False) -> list[str]:
    stream = StringIO()
    out = console(stream)
    out.width = width
    print_explained(out, found, verbose=verbose)
    assert "\x1b" not in stream.getvalue()
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_document_is_the_contracts_and_more() -> None:
    document = json.loads(json.dumps(explain_document(explained(STOPPED))))
    assert list(document) == ["format", "source", "target", "reached", "steps", "errors", "code", "cause", "remedy"]
    assert (document["format"], document["source"], document["target"]) == ("dockmesh/explain/1", "host1", "host3")
    assert (document["reached"], document["code"]) == (False, "docker-stopped")
    assert document["errors"] == []
    assert "host3" in document["cause"]
    assert document["remedy"] == "on host3: systemctl start docker"
    (step,) = (step for step in document["steps"] if step["ok"] is False and step["check"] == "docker")
    assert step == {
        "host": "host3",
        "way": "there",
        "check": "docker",
        "ok": False,
        "detail": document["cause"],
    }


def test_the_document_has_the_errors_of_hosts_that_were_not_looked_at() -> None:
    document = explain_document(explained(errors={"host3": "is down"}))
    assert document["errors"] == [{"host": "host3", "code": "unreachable", "error": "is down"}]


def test_where_all_is_well_there_is_no_cause() -> None:
    document = explain_document(explained(lost=False))
    assert (document["reached"], document["code"], document["cause"], document["remedy"]) == (True, None, None, None)
    assert shown(explained(lost=False))[-1] == "host1 reaches host3"


def test_people_see_the_steps_up_to_the_break_then_cause_and_remedy() -> None:
    found = explained(STOPPED)
    assert found.fault is not None
    lines = shown(found)
    assert lines[-4:] == [
        f"✗  host3  docker      {found.fault.cause}",
        "host1 does not reach host3",
        f"cause   docker-stopped: {found.fault.cause}",
        f"remedy  {found.fault.remedy}",
    ]
    assert len(shown(explained(STOPPED), verbose=True)) > len(lines)


def test_on_80_columns_long_details_go_on_below() -> None:
    assert max(map(len, shown(explained(STOPPED), width=80))) <= 80
