"""What is refused, as tests compare it: by code, place, and the names and figures in the message."""

import re
from collections.abc import Iterable

from dockmesh.errors import Problem

MARK = "«"


def locations(problems: Iterable[Problem]) -> list[str]:
    """Each as `LINE:COLUMN CODE`."""
    return [f"{each.line}:{each.column} {each.code}" for each in problems]


def split_mark(text: str) -> tuple[str, str]:
    """The text without the mark in it, and the place that is marked, as `LINE:COLUMN`."""
    before, mark, after = text.partition(MARK)
    assert mark
    assert MARK not in after
    line = before.rpartition("\n")[2]
    return before + after, f"{before.count(chr(10)) + 1}:{len(line) + 1}"


def missing_facts(message: str, facts: str) -> list[str]:
    """Those of the facts, words with blanks between, that the message does not name."""
    return [
        fact for fact in facts.split() if not re.search(rf"(?<![\w.:/-]){re.escape(fact)}(?![\w/]|[.:][\w])", message)
    ]
