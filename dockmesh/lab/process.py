"""Programs of this machine, run to their end."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.requirements import PATH

ENVIRONMENT = {"PATH": PATH, "HOME": os.environ.get("HOME", "/root"), "LC_ALL": "C.UTF-8"}
WITHIN_S = 60.0
_POLL_S, _SELDOM_S = 0.02, 0.25


def run(
    argv: Sequence[str], *, text: str = "", check: bool = True, within_s: float = WITHIN_S
) -> subprocess.CompletedProcess[str]:
    """The finished process; a LabError with its last words where it failed, unless `check` is off.

    Its own session keeps a Ctrl-C at the terminal away from it: only the lab itself is to be interrupted.
    """
    try:
        done = subprocess.run(
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
        raise LabError(f"{' '.join(argv)}: no end after {within_s:g} s", code=LabCode.TIMEOUT) from None
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {last_words(done)}", code=LabCode.COMMAND_FAILED)
    return done


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The end of what a failed process said, else its status."""
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return "\n".join(said[-5:]) or f"exit status {done.returncode}"


def poll(true: Callable[[], bool], within_s: float) -> bool:
    """Wait for something to become true; whether it did in time.

    The longer it takes, the more seldom it is looked at: to look may cost more than to wait.
    """
    begun = time.monotonic()
    while not true():
        waited_s = time.monotonic() - begun
        if waited_s >= within_s:
            return False
        pause_s = min(max(_POLL_S, waited_s / 10), _SELDOM_S)
        time.sleep(min(pause_s, within_s - waited_s))
    return True
