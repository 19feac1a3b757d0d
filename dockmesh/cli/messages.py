"""Messages for people on stderr: folded between words on a terminal, one line each elsewhere."""

import os
import sys
from textwrap import TextWrapper

import click

_NARROWEST = 20
_HANGING = 2


def print_message(text: str) -> None:
    """Print `text` on stderr. A terminal would break a long line inside a word, so the line is folded before it."""
    width = _terminal_width()
    click.echo(text if width is None else fold(text, width), err=True)


def print_usage_error(error: click.ClickException) -> None:
    """Print an error of the command line with the usage of its command, as click does, but folded between words."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", err=True)
    print_message(f"Error: {error.format_message()}")


def fold(text: str, width: int) -> str:
    """Fold each line of `text` at `width` columns. A word that is longer than a line, such as a path, stays whole."""
    return "\n".join(map(_wrapper(width).fill, text.split("\n"))) if width else text


def _wrapper(width: int) -> TextWrapper:
    return TextWrapper(
        max(_NARROWEST, width),
        subsequent_indent=" " * _HANGING,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


def _terminal_width() -> int | None:
    """The columns of the terminal behind stderr; None without a terminal."""
    if not sys.stderr.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    try:
        return int(columns) if columns.isdecimal() else os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        return None
