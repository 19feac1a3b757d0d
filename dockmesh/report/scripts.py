"""The display of the scripts that hosts receive."""

from textwrap import indent
from threading import Lock

from rich.console import Console
from rich.text import Text

from dockmesh.core.events import Event, WorkFinished, WorkStarted
from dockmesh.report.redaction import redact


class ScriptDisplay:
    """An event sink that prints each script on stderr. For a repeated script it names the first host instead.

    Safe for threads.
    """

    def __init__(self, err: Console) -> None:
        self._err = err
        self._lock = Lock()
        self._first: dict[int, str] = {}

    def __call__(self, event: Event) -> None:
        """Print the event."""
        # The lock keeps the lines of a script together, and prints its first host before the others.
        with self._lock:
            match event:
                case WorkStarted(host, work, ""):
                    self._print(f"{host}: {work}")
                case WorkStarted(host, script=script):
                    self._print_script(host, script)
                case WorkFinished(host, work, seconds, error):
                    self._print(f"{host}: {work}, {seconds:.1f} s{f': {redact(error)}' if error else ''}")
                case _:
                    pass

    def _print_script(self, host: str, script: str) -> None:
        if first := self._first.get(hash(script)):
            self._print(f"{host}: same script as {first}")
            return
        self._first[hash(script)] = host
        self._print(f"{host}: sh -s, {len(script)} characters\n{indent(redact(script).rstrip(), '  ')}")

    def _print(self, text: str) -> None:
        self._err.print(Text(text, style="dim"))
