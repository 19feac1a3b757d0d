"""Messages on stderr: suggestions for mistyped words, and lines folded between words on a narrow terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from conftest import Run
from fakehosts import FakeLan

from dockmesh.cli.messages import fold

DOCKMESH = [sys.executable, "-m", "dockmesh"]
COLUMNS = 40


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["aply"], "'apply'"),
        (["statsu", "--json"], "'status'"),
        (["lab", "fualt"], "'fault'"),
        (["plan", "--limt", "a"], "'--limit'"),
        (["lab", "up", "--hots", "3"], "'--hosts'"),
    ],
)
def test_a_mistyped_command_or_option_gets_a_suggestion(run: Run, words: list[str], suggestion: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (4, "")
    assert "did you mean" in err.lower()
    assert suggestion in err.splitlines()[-1]


def test_an_unknown_command_that_resembles_none_gets_no_suggestion(run: Run) -> None:
    status, _, err = run("zzz")
    assert (status, "'zzz'" in err, "mean" in err) == (4, True, False)


@pytest.mark.parametrize("verb", ["plan", "status"])
def test_a_run_names_its_inventory_on_stderr(lan: FakeLan, run: Run, verb: str) -> None:
    assert lan.hosts
    assert run(verb)[2].splitlines()[0].split() == ["inventory:", "mesh.yml"]
    assert "mesh.yml" not in run(verb, "-q")[2]


def on_terminal(folder: Path, *words: str) -> list[str]:
    """The lines that dockmesh prints on stderr, a terminal of COLUMNS columns."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "DOCKMESH_INVENTORY"}}
    with os.fdopen(controller, "rb", buffering=0) as screen:
        subprocess.run([*DOCKMESH, *words], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=terminal, check=False)
        os.close(terminal)
        return screen.read(1 << 16).decode().splitlines()


@pytest.mark.parametrize(
    "words", [("validate",), ("validate", "-i", "no-such-file.yml"), ("plan", "--no-such-option-anywhere")]
)
def test_a_narrow_terminal_gets_lines_folded_between_words(tmp_path: Path, words: tuple[str, ...]) -> None:
    lines = on_terminal(tmp_path, *words)
    assert len(lines) > 1
    assert all(len(line) <= COLUMNS for line in lines)
    pipe = subprocess.run([*DOCKMESH, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False).stderr
    assert " ".join(lines).split() == pipe.split()


@pytest.mark.parametrize("width", [20, 33, 80, 1000])
def test_folding_keeps_words_and_lines(width: int) -> None:
    long = "/a/path/longer/than/any/line/of/a/terminal/" + "x" * 1000
    text = f"mesh.yml: something is wrong with {long} and with more\n  host10: another line"
    folded = fold(text, width)
    assert folded.split() == text.split()
    assert folded.splitlines()[-1].split()[-1] == "line"
    assert all(len(line) <= width or line.split() == [long] for line in folded.splitlines())
    assert any(line.startswith("  host10: ") for line in folded.splitlines())
