"""Files given a new text in one step: whatever happens, each has its old one or its new one."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError


def replace_atomic(file: Path, before: str, after: str) -> None:
    """Give `file`, which was read as `before`, the text `after`. Mode and owner stay, as does a symlink to it.

    Raises:
        UsageError: it cannot be written, or someone else has changed it meanwhile; it is left as it is.
    """
    target = file.resolve()
    try:
        # Opened for writing too: what is write-protected shall not be replaced because its folder is not.
        with target.open("rb+") as current:
            if current.read() != before.encode(errors="surrogateescape"):
                raise UsageError(
                    f"{file} has changed since it was read, and was left as it is: run this again",
                    code=UsageCode.FILE_CHANGED,
                )
            _replace(target, after.encode(), os.fstat(current.fileno()))
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror or error}: it could not be written and is as it was", code=UsageCode.CANNOT_WRITE
        ) from error


def write_atomic(file: Path, text: str) -> None:
    """Give `file` that text, whether it is there or not. One that is there keeps mode and owner.

    Raises:
        OSError: it cannot be written; it is left as it is.
    """
    target = Path(os.path.realpath(file))
    _replace(target, text.encode(), target.stat() if target.exists() else None)


def _replace(target: Path, content: bytes, like: os.stat_result | None) -> None:
    number, name = tempfile.mkstemp(prefix=".dockmesh-", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as beside:
            if like:
                # The owner first: with a change of it go some bits of the mode.
                os.fchown(number, like.st_uid, like.st_gid)
            os.fchmod(number, S_IMODE(like.st_mode) if like else _mode_of_new_files())
            beside.write(content)
            beside.flush()
            os.fsync(number)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _persist(target.parent)


def _mode_of_new_files() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _persist(folder: Path) -> None:
    """See a rename in `folder` through a power cut, where the file system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
