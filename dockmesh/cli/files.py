"""Files of the admin's own that dockmesh writes: whole or not at all."""

import os
import stat
from pathlib import Path
from tempfile import NamedTemporaryFile

from dockmesh.errors import UsageError


def replace_text(file: Path, text: str) -> None:
    """Put `text` in the file's place, its mode and owner kept; behind a symlink, in that of the file it leads to.

    Raises:
        UsageError: it cannot be written, and is as it was.
    """
    target = file.resolve()
    try:
        there = target.stat()
        with NamedTemporaryFile("w", encoding="utf-8", newline="", dir=target.parent, delete=False) as beside:
            new = Path(beside.name)
            try:
                beside.write(text)
                beside.flush()
                os.fchown(beside.fileno(), there.st_uid, there.st_gid)
                os.fchmod(beside.fileno(), stat.S_IMODE(there.st_mode))
                os.fsync(beside.fileno())
                new.replace(target)
            finally:
                new.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: nothing was written") from error
