"""Changes without confirmation: the shell that reports them, and the parser of what it prints."""

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shlex import quote

import pytest
from builders import NOW, SectionOutput, facts

from dockmesh.core.facts.host_facts import HostFacts, PendingChangeError
from dockmesh.core.facts.unconfirmed import FailedRevert, PendingChange, RevertedChange
from dockmesh.pipeline import TEMPLATES

RUN = "ann@desk since noon"


def read(pending: str | None = None, reverted: str | None = None) -> HostFacts:
    given = {"pending": pending, "reverted_change": reverted}
    return facts("trixie_joined", {name: text for name, text in given.items() if text is not None})


def test_a_host_without_such_changes_has_none() -> None:
    assert (read().pending, read().reverted) == (None, None)


def test_times_are_relative_to_the_controller() -> None:
    waiting = PendingChange(RUN, NOW + timedelta(seconds=41), 41)
    assert read(f"run {RUN}\nreverts_in 41").pending == waiting
    assert read(f"run {RUN}").pending == PendingChange(RUN)
    failed = FailedRevert(3, NOW - timedelta(seconds=19), "docker.service failed")
    found = read(f"run {RUN}\nreverts_in 41\nfailed 3 19 docker.service failed").pending
    assert found == replace(waiting, failed=failed)
    assert read(reverted=f"7 reboot {RUN}").reverted == RevertedChange(RUN, NOW - timedelta(seconds=7), "reboot")


@pytest.mark.parametrize("text", ["", "7", "x reboot me", "7 no-such-reason me", "7 -1 me"])
def test_a_damaged_record_does_not_block_the_host(text: str) -> None:
    assert read(reverted=text).reverted is None
    found = read(f"run {RUN}\nfailed {text}").pending
    assert found == PendingChange(RUN)


# 63,000,000,000 seconds ago is the year 30.
@pytest.mark.parametrize("seconds", ["-1", "-99999999999999", "99999999999999", str(2**2000), "63000000000", "x", ""])
def test_an_impossible_time_counts_as_unknown(seconds: str) -> None:
    assert read(reverted=f"{seconds} reboot me").reverted is None
    for failed in (f"1 {seconds} broken", f"{seconds} 1 broken"):
        assert read(f"run {RUN}\nreverts_in {seconds}\nfailed {failed}").pending == PendingChange(RUN)


def test_a_failed_revert_names_its_problem_and_the_way_out() -> None:
    failed = PendingChange(RUN, failed=FailedRevert(1, NOW, "no bridge"))
    assert "no bridge" in failed.message
    assert "rollback --keep-current --limit host7" in failed.remedy("host7")


@pytest.mark.parametrize("changes", [{}, {"docker_info": "{"}, {"routes": (1, "")}, {"daemon.json": (1, "no file")}])
def test_a_host_that_cannot_be_read_reports_its_pending_change(changes: dict[str, SectionOutput]) -> None:
    with pytest.raises(PendingChangeError) as raised:
        facts("forky_stopped", {"pending": f"run {RUN}\nreverts_in 41", **changes})
    assert (raised.value.code, raised.value.pending.run) == ("change-pending", RUN)


def shell(folder: Path, call: str, *, timer: str = "") -> str:
    """The output of a shell with the functions of the scripts, on a folder instead of /etc/dockmesh."""
    systemctl = f"systemctl() {{ [ -z {quote(timer)} ] || echo {quote(timer)}; [ -n {quote(timer)} ]; }}"
    text = f"{TEMPLATES.output}\n{TEMPLATES.host_steps}\n{TEMPLATES.transaction}\n{systemctl}\n{call}\n"
    script = text.replace("/etc/dockmesh", str(folder)).replace("/proc/uptime", str(folder / "uptime"))
    return subprocess.run(("sh", "-c", script), capture_output=True, text=True, check=True).stdout


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "pending").mkdir()
    (tmp_path / "pending" / "run").write_text(f"{RUN}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("span", "seconds"),
    [("1min 40.5s", [41]), ("2d 3h 1min", [183600]), ("1month 1w 30.000001s", [3234570]), ("infinity", []), ("0", [])],
)
def test_the_timer_of_the_revert_gives_the_seconds_left(state: Path, span: str, seconds: list[int]) -> None:
    """systemd prints the time of its monotonic clock as a time span."""
    (state / "uptime").write_text("60.00 100.00\n")
    lines = shell(state, "pending_change", timer=span).splitlines()
    assert [int(line.split()[1]) for line in lines if line.startswith("reverts_in ")] == seconds


def test_failed_reverts_are_counted(state: Path) -> None:
    shell(state, "record_failure 'one\ntwo'; record_failure 'three four'")
    (found,) = (line for line in shell(state, "pending_change").splitlines() if line.startswith("failed "))
    attempts, age, error = found.removeprefix("failed ").split(" ", 2)
    assert (int(attempts), error) == (2, "three four")
    assert 0 <= int(age) < 60


def test_a_time_after_the_present_of_a_clock_set_back_is_now(state: Path) -> None:
    (state / "pending" / "failed").write_text("2 9000000000 problem\n")
    assert "failed 2 0 problem" in shell(state, "pending_change")


def test_a_damaged_count_starts_again(state: Path) -> None:
    (state / "pending" / "failed").write_text("\x00x")
    shell(state, "record_failure problem")
    assert "failed 1 " in shell(state, "pending_change")


@pytest.mark.parametrize(("timer", "reason"), [("1min", "not-confirmed"), ("", "reboot")])
def test_the_record_of_a_revert_has_its_reason(state: Path, timer: str, reason: str) -> None:
    shell(state, "BY_ITSELF=yes; record_own_revert", timer=timer)
    age, found, run = shell(state, "reverted_change").strip().split(" ", 2)
    assert (found, run) == (reason, RUN)
    assert 0 <= int(age) < 60
