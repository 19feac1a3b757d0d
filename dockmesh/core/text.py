"""Text for messages: quoted input, lists of names, and suggestions for mistyped words."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def quoted(text: str, limit: int = 64) -> str:
    """`text` in quotes, on one line, without control characters, and cut to `limit` characters."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def one_line(message: str, limit: int = 500) -> str:
    """`message` on one line of at most `limit` characters, with unprintable characters escaped."""
    cut = message if len(message) <= limit else message[: limit - 3] + "..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def listed(parts: Sequence[str], most: int = 3) -> str:
    """The first `most` of `parts`, and the number of the others."""
    more = [f"{len(parts) - most} more"] if len(parts) > most else []
    return ", ".join([*parts[:most], *more])


def indented(lines: Iterable[object]) -> str:
    """Each of `lines` indented on its own line, to follow a heading."""
    return "".join(f"\n  {line}" for line in lines)


def did_you_mean(text: str, known: Iterable[str], most: int = 1) -> str:
    """`; did you mean 'x' or 'y'?` with the `known` words that are close to `text`; empty if none is."""
    close = get_close_matches(text[:64].lower(), list(known), n=most)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
