"""The console output for encodings other than UTF-8 and for plain locales."""

from io import BytesIO, TextIOWrapper

import pytest
from rich.table import Table
from rich.text import Text

from dockmesh.report.console.terminal import console, spinner

LOCALES = ("LC_ALL", "LC_CTYPE", "LANG")


def written(encoding: str) -> str:
    stream = TextIOWrapper(BytesIO(), encoding=encoding, errors="strict")
    out = console(stream)
    table = Table("from", "to → there")
    table.add_row(Text("h\u00f6st \u2603"), Text("✓64 ✗ ? …"))
    out.print(table)
    stream.flush()
    assert isinstance(stream.buffer, BytesIO)
    return stream.buffer.getvalue().decode(encoding)


@pytest.fixture
def locale(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in LOCALES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("encoding", "cells"),
    [
        ("utf-8", "│ höst ☃ │ ✓64 ✗ ? …  │"),
        ("ascii", "| h?st ? | +64 x ? .  |"),
        ("iso-8859-1", "| höst ? | +64 x ? .  |"),
    ],
)
@pytest.mark.usefixtures("locale")
def test_marks_and_borders_fit_the_encoding_and_stay_aligned(encoding: str, cells: str) -> None:
    text = written(encoding)
    assert cells in text.splitlines()
    assert len({len(line) for line in text.splitlines()}) == 1


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX", "LC_CTYPE": "C.UTF-8"}, True),  # Python does not change this one
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_CTYPE": "C", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_CTYPE": "de_DE.UTF-8", "LANG": "C"}, False),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({}, False),
    ],
)
def test_plain_locale_gets_ascii_even_if_python_writes_utf8(
    locale: pytest.MonkeyPatch, names: dict[str, str], plain: bool
) -> None:
    for name, value in names.items():
        locale.setenv(name, value)
    assert written("utf-8").isascii() is plain
    assert spinner(console()) == ("line" if plain else "dots")
