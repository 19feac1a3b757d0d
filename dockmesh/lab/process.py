"""Runner of programs on this machine."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.requirements import PATH

ENVIRONMENT = {"PATH": PATH, "HOME": os.environ.get("HOME", "/root"), "LC_ALL": "C.UTF-8"}
TIMEOUT_S = 60.0
_POLL_S, _MAX_POLL_S = 0.02, 0.25


def run(
    argv: Sequence[str], *, text: str = "", check: bool = True, within_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; with `check`, raise LabError with the end of its output if it fails.

    The program gets its own session, so that a Ctrl-C at the terminal interrupts only the lab.
    """
    try:
        completed = subprocess.run(
            argv,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: still running after {within_s:g} s", code=LabCode.TIMEOUT) from None
    if check and completed.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {error_text(completed)}", code=LabCode.COMMAND_FAILED)
    return completed


def error_text(completed: subprocess.CompletedProcess[str]) -> str:
    """The last lines of a failed process's output, or its exit status."""
    lines = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
    return "\n".join(lines[-5:]) or f"exit status {completed.returncode}"


def poll(condition: Callable[[], bool], within_s: float) -> bool:
    """Wait until the condition holds; whether it did in time.

    The interval grows with the time waited and is no shorter than a check, because a check may cost more than a longer
    wait.
    """
    started = checked = time.monotonic()
    while not condition():
        now = time.monotonic()
        waited_s, check_s = now - started, now - checked
        if waited_s >= within_s:
            return False
        pause_s = max(_POLL_S, min(waited_s / 10, _MAX_POLL_S), check_s)
        time.sleep(min(pause_s, within_s - waited_s))
        checked = time.monotonic()
    return True
