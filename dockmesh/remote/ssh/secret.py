"""Passwords: hidden from tracebacks, repr and logs, and read from a terminal or an askpass program."""

import getpass
import os
import subprocess
from collections.abc import Mapping

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_ASKPASS_S = 300


class Secret:
    """A text that is never shown by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a secret stays in the process that asked for it")

    def reveal(self) -> bytes:
        """The text itself, for its consumer. Callers must not store it."""
        return self._text.encode(errors="surrogateescape")


def ask(prompt: str, *programs: str, environment: Mapping[str, str] = os.environ) -> Secret | None:
    """Ask on the terminal; without one, by the first of the askpass programs that these variables name.

    None where there is neither terminal nor program, or no answer.
    """
    if _terminal():
        return Secret(getpass.getpass(f"{prompt}: "))
    program = next(filter(None, map(environment.get, programs)), None)
    return _run_askpass(program, f"{prompt}: ") if program else None


def _terminal() -> bool:
    """Whether this process has a terminal, regardless of its stdin. Without one, getpass reads stdin and echoes."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _run_askpass(program: str, prompt: str) -> Secret | None:
    try:
        done = subprocess.run(
            (program, prompt), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_ASKPASS_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        # Not chained: the error of a program that timed out contains its output so far.
        raise UsageError(
            f"the askpass program {program} gave no answer ({type(error).__name__})", code=UsageCode.NO_PASSWORD
        ) from None
    answer = done.stdout.partition(b"\n")[0].removesuffix(b"\r").decode(errors="surrogateescape")
    return Secret(answer) if done.returncode == 0 and answer else None
