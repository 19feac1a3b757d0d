"""Saved results as arguments of diff and report."""

from pathlib import Path

import click

from dockmesh.core.results.load import load_result
from dockmesh.core.results.model import MeshResult
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

RESULT_FILE = click.Path(path_type=Path, dir_okay=False)
_LARGEST = 1 << 30


def read_result(file: Path) -> MeshResult:
    """The result that a file holds.

    Raises:
        UsageError: the file cannot be read, is too large, or holds no result.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: the result cannot be read", code=UsageCode.CANNOT_READ) from error
    if len(text) > _LARGEST:
        raise UsageError(f"{file}: larger than {_LARGEST >> 20} MiB, which no result is", code=UsageCode.FILE_TOO_LARGE)
    return load_result(text, file=str(file))
