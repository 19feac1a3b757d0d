"""The exit status of interrupted runs and of runs with a full disk behind stdout."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DOCKMESH = [sys.executable, "-m", "dockmesh"]
# A shell ignores SIGINT in the jobs that it starts in the background, as in `nohup make test &`.
IN_BACKGROUND = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
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


def test_a_run_in_the_background_ignores_ctrl_c(tmp_path: Path) -> None:
    inventory = tmp_path / "mesh.yml"
    os.mkfifo(inventory)
    call = [*IN_BACKGROUND, *DOCKMESH, "validate", "--json", "-i", str(inventory)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        with inventory.open("w") as pipe:
            run.send_signal(signal.SIGINT)
            pipe.write("hosts: {a: {address: 192.0.2.1, docker: false}}")
        out, _err = run.communicate(timeout=20)
    assert (run.returncode, json.loads(out)["format"]) == (0, "dockmesh/validate/1")


def test_the_tests_of_ctrl_c_pass_in_the_background() -> None:
    """Also in the workers of pytest-xdist, which inherit the ignored signal."""
    test = f"{__file__}::{test_ctrl_c_during_the_run_exits_with_130_without_a_result.__name__}[words0]"
    call = [*IN_BACKGROUND, sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", test]
    run = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parent)
    assert run.returncode == 0, run.stdout


def test_a_full_disk_behind_stdout_is_reported_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(SCHEMA, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert "[Errno 28]" in run.stderr
