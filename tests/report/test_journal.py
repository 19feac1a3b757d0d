"""The log for machines: bounded, and without secrets."""

import json
import re
from pathlib import Path

import pytest

from dockmesh.core.change import Change
from dockmesh.core.plan import HostPlan
from dockmesh.core.script import transaction
from dockmesh.core.state import HostState, Unit
from dockmesh.pipeline import TEXTS
from dockmesh.report import journal
from dockmesh.report.journal import Journal
from dockmesh.report.secrets import kept


def test_what_hosts_say_is_cut_and_stays_on_its_line(tmp_path: Path) -> None:
    with Journal(tmp_path / "log", "plan") as log:
        log.done("h\n1", "x\n\x1b[31m" * 400)
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in told] == ["begin", "done", "end"]
    assert len(told[1]["error"]) == 500


def test_a_log_grows_no_further_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_BYTES", 1000)
    with Journal(tmp_path / "log", "status") as log:
        for _ in range(100):
            log.done("h1", None)
    assert (tmp_path / "log").stat().st_size <= 1000
    assert "larger" in log.broken


def test_a_host_that_ends_after_the_run_writes_nowhere(tmp_path: Path) -> None:
    with Journal(tmp_path / "log", "status") as log:
        pass
    log.ended("h1", "script", 1, None)
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_an_interrupted_run_says_so_at_its_end(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Journal(tmp_path / "log", "apply"):
        raise KeyboardInterrupt
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["status"] == "interrupted"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://me:word@proxy:3128/", "http://me:***@proxy:3128/"),
        ('"splunk-token": "abc def"', '"splunk-token": "*** def"'),
        ("PASSWORD=abc; go", "PASSWORD=***; go"),
        ("put_file /a 644 <<'END_OF_INPUT'\nc2VjcmV0cw==\nEND_OF_INPUT\n", None),
        ("nothing of the kind: 10.128.0.0/20", "nothing of the kind: 10.128.0.0/20"),
    ],
)
def test_secrets_are_kept(text: str, told: str | None) -> None:
    assert kept(text) == (told or "put_file /a 644 <<'END_OF_INPUT'\n[a file of 7 bytes]\nEND_OF_INPUT\n")


@pytest.mark.parametrize("size", [1, 2, 3, 55, 56, 57, 58, 59, 113, 114, 115, 116, 1000])
def test_files_of_every_length_are_kept(size: int) -> None:
    unit = Unit("dockmesh.timer", "x" * size)
    script = transaction(
        HostPlan("h", (Change(None, unit, "r"),)), HostState(()), TEXTS, (), run="r", confirm_within_s=9
    )
    told = kept(script)
    assert f"put_unit dockmesh.timer <<'END_OF_INPUT'\n[a file of {size} bytes]\nEND_OF_INPUT" in told
    assert not re.search(r"<<'END_OF_INPUT'\n[A-Za-z0-9+/]{2,}=*\n", told)
