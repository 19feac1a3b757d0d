"""Atomic writes: a file has its old text or its new text, also after a crash."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError


def replace_atomic(file: Path, before: str, after: str) -> None:
    """Replace the text `before` of `file` by `after`. Mode, owner and symlinks to the file stay.

    Raises:
        UsageError: the file cannot be written, or its text is no longer `before`. It is unchanged.
    """
    target = file.resolve()
    try:
        # Opening for writing fails on a write-protected file. The rename alone would replace it.
        with target.open("rb+") as current:
            if current.read() != before.encode(errors="surrogateescape"):
                raise UsageError(
                    f"{file}: changed since it was read, so it was not overwritten. Fix: run the command again",
                    code=UsageCode.FILE_CHANGED,
                )
            _replace(target, after.encode(), os.fstat(current.fileno()))
    except OSError as error:
        raise UsageError(
            f"{file}: cannot write it: {error.strerror or error}. The file is unchanged", code=UsageCode.CANNOT_WRITE
        ) from error


def write_atomic(file: Path, text: str) -> None:
    """Write `text` to `file`, which may be new. An existing file keeps its mode and owner.

    Raises:
        OSError: the file cannot be written. It is unchanged.
    """
    target = Path(os.path.realpath(file))
    _replace(target, text.encode(), target.stat() if target.exists() else None)


def write_private(file: Path, text: str) -> None:
    """Write `text` to `file` with mode 0600, also if the file exists. A symlink to a file is replaced, not followed.

    Pipes and devices receive the text, as does a link such as /dev/stdout, also if it leads to a file.

    Raises:
        OSError: the file cannot be written. It is unchanged.
    """
    if (file.exists() and not file.is_file()) or file.absolute().parts[1] in {"dev", "proc"}:
        file.write_text(text, encoding="utf-8")
    else:
        _replace(file, text.encode(), None, mode=0o600)


def _replace(target: Path, content: bytes, like: os.stat_result | None, *, mode: int | None = None) -> None:
    number, name = tempfile.mkstemp(prefix=".dockmesh-", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as new:
            if like:
                # Owner before mode, as a change of the owner clears bits of the mode.
                os.fchown(number, like.st_uid, like.st_gid)
            os.fchmod(number, mode or (S_IMODE(like.st_mode) if like else _mode_of_new_files()))
            new.write(content)
            new.flush()
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
    """Make a rename in `folder` survive a power cut, if the file system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
