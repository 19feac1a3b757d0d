"""The exit status of interrupted runs and of runs with a full disk behind stdout."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DOCKMESH = [sys.executable, "-m", "dockmesh"]
SCHEMA = [*DOCKMESH, "schema"]
# Runs `dockmesh schema` and holds it right before its exit, when the result is printed. A line on stdin releases it.
HELD = """
import os, sys
from dockmesh.cli import main

def held(status, leave=os._exit):
    print("held", file=sys.stderr, flush=True)
    sys.stdin.readline()
    leave(status)

os._exit, sys.argv = held, ["dockmesh", "schema"]
main()
"""


def test_ctrl_c_after_the_result_does_not_change_the_exit_status() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HELD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr
        assert run.stderr.readline() == "held\n"
        run.send_signal(signal.SIGINT)
        out, err = run.communicate("\n", timeout=20)
    assert (run.returncode, out.splitlines()[-1], err) == (0, "}", "")


@pytest.mark.parametrize("words", [("validate",), ("apply", "--yes"), ("validate", "--json")])
def test_ctrl_c_during_the_run_exits_with_130_without_a_result(tmp_path: Path, words: tuple[str, ...]) -> None:
    inventory = tmp_path / "mesh.yml"
    os.mkfifo(inventory)
    call = [*DOCKMESH, *words, "-i", str(inventory)]
    # Opening the pipe blocks until dockmesh reads the inventory from it.
    with (
        subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run,
        inventory.open("wb"),
    ):
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
    assert (run.returncode, out) == (130, "")
    assert len(err.strip().splitlines()) == 1


def test_a_full_disk_behind_stdout_is_reported_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(SCHEMA, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert "[Errno 28]" in run.stderr
