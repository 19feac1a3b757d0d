"""The event log: its limits, its end, and the redaction of secrets."""

import json
import re
from pathlib import Path

import pytest
from printed import figures

from dockmesh.core.events import HostFinished, OutcomeReported, WorkFinished
from dockmesh.core.planning.plan import HostPlan
from dockmesh.core.planning.transaction import transaction_script
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import HostState, Unit
from dockmesh.pipeline import TEMPLATES
from dockmesh.report import event_log
from dockmesh.report.event_log import EventLog
from dockmesh.report.redaction import redact


def test_errors_of_hosts_are_cut_and_stay_on_one_line(tmp_path: Path) -> None:
    with EventLog(tmp_path / "log", "plan") as log:
        log(HostFinished("read", "h\n1", 1, 1, "x\n\x1b[31m" * 400))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["begin", "done", "end"]
    assert len(lines[1]["error"]) == 500


def test_each_warning_of_an_outcome_has_a_line(tmp_path: Path) -> None:
    with EventLog(tmp_path / "log", "apply") as log:
        log(OutcomeReported("h1", "confirmed", warnings=("one", "two")))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()][1:-1]
    assert [(line["event"], line["host"], line["status"], line["error"]) for line in lines] == [
        ("outcome", "h1", "confirmed", None),
        ("warning", "h1", "warning", "one"),
        ("warning", "h1", "warning", "two"),
    ]


def test_the_size_of_a_log_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "_BYTES", 1 << 20)
    with EventLog(tmp_path / "log", "status") as log:
        for _ in range(500):
            log(HostFinished("read", "h1", 1, 1, "x" * 2500))
        assert log.broken == ""
        for _ in range(2000):
            log(HostFinished("read", "h1", 1, 1, "x" * 2500))
    assert (1 << 20) - 1000 < (tmp_path / "log").stat().st_size <= 1 << 20
    assert figures(log.broken) == ["1"], "the limit, in MiB"


def test_an_event_after_the_run_is_not_written(tmp_path: Path) -> None:
    with EventLog(tmp_path / "log", "status") as log:
        pass
    log(WorkFinished("h1", "script", 1))
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_the_last_line_of_an_interrupted_run_has_that_status(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), EventLog(tmp_path / "log", "apply"):
        raise KeyboardInterrupt
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["status"] == "interrupted"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("http://me:word@proxy:3128/", "http://me:***@proxy:3128/"),
        ('"splunk-token": "abc def"', '"splunk-token": "*** def"'),
        ("PASSWORD=abc; go", "PASSWORD=***; go"),
        ("plain text: 10.128.0.0/20", "plain text: 10.128.0.0/20"),
    ],
)
def test_secrets_are_hidden(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_a_file_is_replaced_by_its_size() -> None:
    begin, line, end = redact("put_file /a 644 <<'END_OF_INPUT'\nc2VjcmV0cw==\nEND_OF_INPUT\n").splitlines()
    assert (begin, end) == ("put_file /a 644 <<'END_OF_INPUT'", "END_OF_INPUT")
    assert re.fullmatch(r"\[.+\]", line), "no base64"
    assert figures(line) == ["7"]
    assert "c2Vjc" not in line


@pytest.mark.parametrize("size", [1, 2, 3, 55, 56, 57, 58, 59, 113, 114, 115, 116, 1000])
def test_files_of_every_length_are_hidden(size: int) -> None:
    unit = Unit("dockmesh.timer", "x" * size)
    script = transaction_script(
        HostPlan("h", (Change(None, unit, "r"),)), HostState(()), TEMPLATES, (), run="r", confirm_within_s=9
    )
    redacted = redact(script)
    (line,) = re.findall(r"put_unit dockmesh.timer <<'END_OF_INPUT'\n(\[.*\])\nEND_OF_INPUT", redacted)
    assert figures(line) == [str(size)]
    assert not re.search(r"<<'END_OF_INPUT'\n[A-Za-z0-9+/]{2,}=*\n", redacted)
