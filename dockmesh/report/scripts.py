"""The scripts that go to hosts, for people who want to see what is done there."""

from textwrap import indent
from threading import Lock

from rich.console import Console
from rich.text import Text

from dockmesh.report.events import Listener
from dockmesh.report.redaction import redact


class Scripts(Listener):
    """Writes each script once, on stderr, and of hosts that get one that was shown only their names."""

    def __init__(self, err: Console) -> None:
        self._err = err
        self._lock = Lock()
        self._shown: dict[int, str] = {}

    def begun(self, host: str, work: str, script: str) -> None:
        """See `Listener`."""
        with self._lock:
            if not script:
                told = f"{host}: {work}"
            elif first := self._shown.get(hash(script)):
                told = f"{host}: the script that {first} was sent"
            else:
                self._shown[hash(script)] = host
                told = f"{host}: sh -s, {len(script)} characters\n" + indent(redact(script).rstrip(), "  ")
            self._err.print(Text(told, style="dim"))

    def ended(self, host: str, work: str, seconds: float, error: str | None) -> None:
        """See `Listener`."""
        with self._lock:
            self._err.print(
                Text(f"{host}: {work}, {seconds:.1f} s{f': {redact(error)}' if error else ''}", style="dim")
            )
