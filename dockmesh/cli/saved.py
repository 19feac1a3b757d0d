"""The verb that works from saved results, and contacts nobody."""

from pathlib import Path

import click

from dockmesh.cli.views import Views, unwritten, views
from dockmesh.core.results.model import Result
from dockmesh.core.results.reading import read
from dockmesh.errors import UsageError

_LARGEST = 256 << 20
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command
@click.argument("file", metavar="STATUS.json", type=_FILE)
@views
def report(*, file: Path, views: Views) -> int:
    """Write a saved result, which `status --json` or `apply --json` printed, as the reports that status can write.

    Example: dockmesh report monday.json --markdown monday.md
    """
    if not views.files:
        raise UsageError("report writes files: name one with --markdown, --junit or --prometheus")
    return unwritten(views.write(_result(file)))


def _result(file: Path) -> Result:
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: the result cannot be read") from error
    if len(text) > _LARGEST:
        raise UsageError(f"{file}: larger than {_LARGEST >> 20} MiB, which no result is")
    return read(text, file=str(file))
