"""How messages show what a user wrote, and what may have been meant."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def quoted(text: str, limit: int = 64) -> str:
    """`text` in quotes: one line, nothing a terminal would obey, cut at `limit` characters."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def one_line(message: str, limit: int = 500) -> str:
    """`message` fit for one line of a terminal: what does not print is escaped, what is too long is cut."""
    cut = message if len(message) <= limit else message[: limit - 3] + "..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def listed(parts: Sequence[str], most: int = 3) -> str:
    """The first `most` of `parts`, and how many more there are."""
    more = [f"{len(parts) - most} more"] if len(parts) > most else []
    return ", ".join([*parts[:most], *more])


def indented(lines: Iterable[object]) -> str:
    """Each of `lines` on a line of its own, indented, below what stands before."""
    return "".join(f"\n  {line}" for line in lines)


def did_you_mean(text: str, known: Iterable[str], most: int = 1) -> str:
    """`; did you mean 'x' or 'y'?` where something known comes close, else nothing."""
    close = get_close_matches(text[:64].lower(), list(known), n=most)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
