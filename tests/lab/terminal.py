"""A program on a separate terminal, with answers to its prompts."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

YES_OR_NO = r"\[y/N\]: ?"


def conversation(
    argv: Sequence[str],
    answers: Sequence[tuple[str, str]],
    *,
    folder: Path,
    environment: Mapping[str, str],
    within_s: float,
) -> tuple[int, str]:
    """The exit status and all output. `answers`, in order: the pattern of a prompt, and the input."""
    ours, its = pty.openpty()
    # The terminal is what the program is controlled by: passwords are asked for there, whatever stdin is.
    with (
        os.fdopen(ours, "r+b", buffering=0) as screen,
        subprocess.Popen(
            ("setsid", "--ctty", "--wait", *argv), stdin=its, stdout=its, stderr=its, cwd=folder, env=environment
        ) as process,
    ):
        os.close(its)
        seen = _send_answers(screen.fileno(), list(answers), time.monotonic() + within_s)
        return process.wait(timeout=within_s), seen


def _send_answers(screen: int, left: list[tuple[str, str]], end: float) -> str:
    seen, at = b"", 0
    while time.monotonic() < end:
        if not select.select([screen], [], [], 0.2)[0]:
            continue
        try:
            chunk = os.read(screen, 1 << 16)
        except OSError:  # Linux returns EIO after the other side closed.
            break
        if not chunk:
            break
        seen += chunk
        if left and (asked := re.search(left[0][0].encode(), seen[at:])):
            at += asked.end()
            os.write(screen, f"{left.pop(0)[1]}\n".encode())
    text = seen.decode(errors="replace")
    assert not left, f"never asked {left[0][0]!r}:\n{text}"
    return text
