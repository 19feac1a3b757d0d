"""Saved results, the arguments of diff and report."""

from pathlib import Path

import click

from dockmesh.core.results.load import load_result
from dockmesh.core.results.model import MeshResult
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

RESULT_FILE = click.Path(path_type=Path, dir_okay=False)
_MAX_BYTES = 1 << 30


def read_result(file: Path) -> MeshResult:
    """Read the result from a file.

    Raises:
        UsageError: the file cannot be read, is too large, or contains no result.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: cannot read the result: {error.strerror}", code=UsageCode.CANNOT_READ) from error
    if len(text) > _MAX_BYTES:
        raise UsageError(
            f"{file}: larger than {_MAX_BYTES >> 20} MiB, so it is no saved result", code=UsageCode.FILE_TOO_LARGE
        )
    return load_result(text, file=str(file))
