"""How a run ends when its surroundings fail it at the last moment."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCHEMA = [sys.executable, "-m", "dockmesh", "schema"]


@pytest.mark.parametrize("after_ms", [0, 2, 5, 10])
def test_ctrl_c_after_the_verdict_does_not_change_it(after_ms: int) -> None:
    with subprocess.Popen(SCHEMA, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stderr
        # The closing brace's line is the last that is printed.
        while (line := run.stdout.readline()) != "}\n":
            assert line
        time.sleep(after_ms / 1000)
        run.send_signal(signal.SIGINT)
        assert (run.wait(timeout=20), run.stderr.read().strip()) in {(0, ""), (130, "interrupted")}


def test_a_full_disk_behind_stdout_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(SCHEMA, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "dockmesh cannot go on: [Errno 28] No space left on device\n"
