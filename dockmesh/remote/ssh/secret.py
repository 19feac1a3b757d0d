"""Secrets, which tracebacks, repr and logs hide, and the prompt for them."""

import getpass
import os
import subprocess
from collections.abc import Mapping

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_ASKPASS_S = 300


class Secret:
    """A text that repr and pickle never expose."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")

    def reveal(self) -> bytes:
        """The text as bytes. Callers must not store it."""
        return self._text.encode(errors="surrogateescape")


def ask(prompt: str, *programs: str, environment: Mapping[str, str] = os.environ) -> Secret | None:
    """Ask on the terminal. Without one, run the first askpass program that the variables `programs` name.

    None without a terminal and a program, and without an answer.
    """
    if _terminal():
        return Secret(getpass.getpass(f"{prompt}: "))
    program = next(filter(None, map(environment.get, programs)), None)
    return _run_askpass(program, f"{prompt}: ") if program else None


def _terminal() -> bool:
    """Whether the process has a terminal, regardless of its stdin. Otherwise getpass would read stdin and echo it."""
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
        # Not chained, because the error of a timeout contains the output, which may be the password.
        raise UsageError(
            f"{program}: the askpass program failed ({type(error).__name__}). Fix: correct SUDO_ASKPASS or SSH_ASKPASS",
            code=UsageCode.NO_PASSWORD,
        ) from None
    answer = done.stdout.partition(b"\n")[0].removesuffix(b"\r").decode(errors="surrogateescape")
    return Secret(answer) if done.returncode == 0 and answer else None
