"""`python -m docs.picture FILE WORDS…` calls dockmesh with these words on a terminal, and draws what it shows there."""

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
# rich takes its fonts from the network; a picture of ours loads nothing.
_FONTS = re.compile(r"(?s)\s*@font-face \{.*?\}")


def shown(words: list[str]) -> str:
    """What dockmesh writes to a terminal of 100 columns, codes included; what it tells of its progress is left out.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    ours, its = pty.openpty()
    argv = (sys.executable, "-m", "dockmesh", *words)
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
    env.pop("NO_COLOR", None)
    with (
        os.fdopen(ours, "rb", buffering=0) as screen,
        subprocess.Popen(argv, stdout=its, stderr=subprocess.DEVNULL, env=env) as process,
    ):
        os.close(its)
        text = _all(screen)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, argv, text)
    return text.decode()


def _all(screen: io.RawIOBase) -> bytes:
    text = b""
    try:
        while chunk := screen.read(1 << 16):
            text += chunk
    except OSError:  # Linux says EIO where the other side has closed.
        pass
    return text


def drawn(text: str, title: str) -> str:
    """The picture, as SVG."""
    lines = Text.from_ansi(text.replace("\r\n", "\n").rstrip())
    width = max(len(line) for line in lines.split("\n"))
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="256")
    console.print(lines)
    return _FONTS.sub("", console.export_svg(title=title, unique_id="dockmesh"))


def main() -> None:
    """Write the picture."""
    file, *words = sys.argv[1:]
    Path(file).write_text(drawn(shown(words), f"dockmesh {words[0]}"), encoding="utf-8")


if __name__ == "__main__":
    main()
