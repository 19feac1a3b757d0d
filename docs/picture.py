"""`python -m docs.picture FILE ARGUMENT…` runs dockmesh with these arguments on a terminal and draws its output."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

_COLUMNS = 100
# The fonts of rich's SVG come from the network. A picture in the documentation must load nothing.
_FONTS = re.compile(r"(?s)\s*@font-face \{.*?\}")


def terminal_output(arguments: list[str]) -> str:
    """The output of dockmesh on a terminal of 100 columns, with control codes and without progress.

    Raises:
        subprocess.CalledProcessError: dockmesh failed.
    """
    controller, terminal = pty.openpty()
    argv = (sys.executable, "-m", "dockmesh", *arguments)
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
    env.pop("NO_COLOR", None)
    with (
        os.fdopen(controller, "rb", buffering=0) as screen,
        subprocess.Popen(argv, stdout=terminal, stderr=subprocess.DEVNULL, env=env) as process,
    ):
        os.close(terminal)
        text = _read_all(screen)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, argv, text)
    return text.decode()


def _read_all(screen: io.RawIOBase) -> bytes:
    text = b""
    try:
        while chunk := screen.read(1 << 16):
            text += chunk
    except OSError:  # Linux reports EIO after the other side closed the terminal
        pass
    return text


def draw(text: str, title: str) -> str:
    """Draw terminal output as SVG."""
    lines = Text.from_ansi(text.replace("\r\n", "\n").rstrip())
    width = max(len(line) for line in lines.split("\n"))
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="256")
    console.print(lines)
    return _FONTS.sub("", console.export_svg(title=title, unique_id="dockmesh"))


def main() -> None:
    """Write the picture."""
    file, *arguments = sys.argv[1:]
    Path(file).write_text(draw(terminal_output(arguments), f"dockmesh {arguments[0]}"), encoding="utf-8")


if __name__ == "__main__":
    main()
