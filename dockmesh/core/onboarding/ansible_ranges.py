"""Expansion of Ansible's ranges: `web[01:20].example.com`, `db-[a:f]`, `rack[1:2]-[0:10:5]`."""

import re
from collections.abc import Iterator
from itertools import islice, product
from string import ascii_letters
from typing import Final

from dockmesh.core.text import quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

MAX_NAMES: Final = 10_000
_RANGE = re.compile(r"\[([^\[\]]*)\]")


def expand(pattern: str) -> list[str]:
    """Expand a pattern into names, in order; a range includes both ends.

    Raises:
        InvalidValueError: the pattern is invalid, or expands to more than MAX_NAMES names.
    """
    parts = _RANGE.split(pattern)
    if any(bracket in part for part in parts[::2] for bracket in "[]"):
        raise InvalidValueError(ProblemCode.UNBALANCED_BRACKET, f"{quoted(pattern)} has an unbalanced bracket")
    options = [
        [part] if at % 2 == 0 else list(islice(_range(part, pattern), MAX_NAMES + 1)) for at, part in enumerate(parts)
    ]
    names = ["".join(chosen) for chosen in islice(product(*options), MAX_NAMES + 1)]
    if len(names) > MAX_NAMES:
        raise InvalidValueError(ProblemCode.TOO_LARGE, f"{quoted(pattern)} expands to more than {MAX_NAMES:,} hosts")
    return names


def _range(text: str, pattern: str) -> Iterator[str]:
    first, last, step = _ends(text, pattern)
    if first.isdecimal() and last.isdecimal():
        padded = len(first) > 1 and first.startswith("0")
        if padded and len(first) != len(last):
            why = f"[{text}] of {quoted(pattern)} has leading zeros. Fix: give both ends the same number of digits"
            raise InvalidValueError(ProblemCode.UNEQUAL_DIGITS, why)
        width = len(first) if padded else 0
        numbers = range(int(first), int(last) + 1, step)
        values = (f"{number:0{width}d}" for number in numbers)
        empty = not numbers
    elif len(first) == len(last) == 1 and first in ascii_letters and last in ascii_letters:
        letters = ascii_letters[ascii_letters.index(first) : ascii_letters.index(last) + 1 : step]
        values, empty = (letter for letter in letters), not letters
    else:
        raise InvalidValueError(
            ProblemCode.BAD_RANGE, f"[{text}] of {quoted(pattern)} is not a range of numbers or single letters"
        )
    if empty:
        raise InvalidValueError(ProblemCode.REVERSED_RANGE, f"[{text}] of {quoted(pattern)} ends before it begins")
    return values


def _ends(text: str, pattern: str) -> tuple[str, str, int]:
    parts = text.split(":")
    if len(parts) not in {2, 3} or not text.isascii() or max(map(len, parts)) > len(str(MAX_NAMES)) * 2:
        raise InvalidValueError(
            ProblemCode.BAD_RANGE,
            f"[{text}] of {quoted(pattern)} is not a range. Fix: write it as [01:20], [a:f] or [0:10:2]",
        )
    step = parts[2] if len(parts) == 3 else "1"  # noqa: PLR2004
    if not step.isdecimal() or int(step) == 0:
        raise InvalidValueError(
            ProblemCode.BAD_STEP, f"[{text}] of {quoted(pattern)} has an invalid step. Fix: use a number of at least 1"
        )
    return parts[0] or "0", parts[1], int(step)
