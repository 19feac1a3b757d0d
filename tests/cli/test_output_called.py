"""The amount of output with -q, -v, -vv and --log-file."""

import json
import os
import re
from base64 import b64encode
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from conftest import Refused, Run
from fakehosts import FakeLan
from refusals import missing_facts

from dockmesh.core.state.resources import File

KEYS = ["time", "event", "host", "phase", "seconds", "status", "error"]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_quiet_apply_prints_only_the_result(lan: FakeLan, run: Run) -> None:
    status, out, err = run("apply", "--yes", "-q")
    assert (status, err) == (0, "")
    assert lan.hosts["host1"].routes
    probes, hosts = out.splitlines()
    assert re.findall(r"\d+", probes) == ["21"]
    assert re.findall(r"\d+", hosts) == ["3", "3"]


def test_a_quiet_apply_ends_with_the_failed_host_and_the_reason(lan: FakeLan, run: Run) -> None:
    lan.hosts["host2"].down = True
    status, out, err = run("apply", "--yes", "-q")
    assert (status, err) == (3, "")
    *_, counts, failed = out.splitlines()
    assert re.findall(r"\d+ \w+", counts) == ["3 hosts", "2 confirmed", "1 unreachable"]
    assert re.match(r"host2 +unreachable: \S", failed)
    assert not re.search(r"^host[13] ", out, re.MULTILINE)


def test_a_quiet_plan_prints_counts_and_skipped_hosts(lan: FakeLan, run: Run) -> None:
    lan.hosts["host2"].down = True
    out = run("plan", "-q")[1].splitlines()
    assert out[0] == "host2"
    assert re.match(r"3 hosts\b", out[2])
    assert "192.168.18.129" in out[1]
    assert "host1" not in out


def test_a_question_prints_the_plan_even_with_quiet(lan: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lan.hosts
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    assert "host1" in run("apply", "-q")[1]


def test_quiet_and_verbose_exclude_each_other(lan: FakeLan, problems_of_call: Refused) -> None:
    assert [each["code"] for each in problems_of_call("plan", "-q", "-v")] == ["conflicting-options"]
    assert lan.opened == 0


def test_twice_verbose_prints_scripts_without_file_contents(lan: FakeLan, run: Run) -> None:
    proxy = '{"proxies": {"http-proxy": "http://me:s3cr3t-word@p"}}'
    lan.hosts["host1"].put(File("/etc/docker/daemon.json", proxy, "644"))
    status, out, err = run("apply", "--yes", "-vv")
    assert status == 0, out
    assert "sh -s" not in out
    assert re.search(r"^host1: login, \d+\.\d s$", err, re.MULTILINE)
    assert re.search(r"^host\d: sh -s, \d+ characters$", err, re.MULTILINE)
    assert re.search(r"put_file /etc/docker/daemon.json .*\n +\[a file of \d+ bytes\]\n", err)
    for secret in ("s3cr3t-word", *(b64encode(b"s3cr3t-word"[at:]).decode()[1:-5] for at in range(3))):
        assert secret not in out + err


def test_the_log_has_one_json_line_per_event_and_mode_0600(lan: FakeLan, run: Run, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("")
    log.chmod(0o644)
    lan.hosts["host2"].down = True
    assert run("apply", "--yes", "--log-file", str(log))[0] == 3
    assert log.stat().st_mode & 0o777 == 0o600
    events = lines(log)
    assert all(list(line) == KEYS for line in events)
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in events)
    assert (events[0]["event"], events[0]["phase"], events[-1]["event"]) == ("begin", "apply", "end")
    assert {line["event"] for line in events} == {"begin", "phase", "login", "script", "done", "outcome", "end"}
    ends = {line["host"]: line["status"] for line in events if line["event"] == "outcome"}
    assert ends == {"host1": "confirmed", "host2": "unreachable", "host3": "confirmed"}
    (lost, *_) = (line for line in events if line["event"] == "login" and line["host"] == "host2")
    assert (lost["status"], "192.168.18.129" in lost["error"]) == ("failed", True)


def test_a_second_run_appends_to_the_log(lan: FakeLan, run: Run, tmp_path: Path) -> None:
    assert lan.hosts
    log = tmp_path / "run.log"
    for _ in range(2):
        run("plan", "--log-file", str(log))
    assert [line["event"] for line in lines(log)].count("begin") == 2


@pytest.mark.parametrize("place", ["/dev/null", "absent/run.log", "fifo"])
def test_an_impossible_log_is_refused_before_any_contact(
    lan: FakeLan, problems_of_call: Refused, tmp_path: Path, place: str
) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = Path("/dev/null").stat().st_mode
    (problem,) = problems_of_call("plan", "--log-file", place)
    assert (problem["code"], lan.opened) == ("cannot-write", 0)
    assert missing_facts(problem["message"], place) == []
    assert Path("/dev/null").stat().st_mode == before


def test_a_full_disk_ends_the_log_but_not_the_run(
    lan: FakeLan, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("dockmesh.report.event_log._open", lambda _file: full)
    status, _, err = run("apply", "--yes", "--log-file", str(tmp_path / "run.log"))
    assert (status, bool(lan.hosts["host1"].routes)) == (0, True)
    assert "No space left on device" in err
