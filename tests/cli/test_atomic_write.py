"""A file is rewritten wholly or not at all, and stays the file it was."""

import errno
import os
from pathlib import Path
from stat import S_IMODE

import pytest

from dockmesh.cli.atomic_write import replace_atomic
from dockmesh.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "mesh.yml"
    file.write_text("old")
    return file


def assert_untouched(file: Path) -> None:
    assert file.read_text() == "old"
    assert list(file.parent.iterdir()) == [file]


def refusal(file: Path, before: str) -> str:
    """The code of the refusal to rewrite a file, which names it."""
    with pytest.raises(UsageError) as caught:
        replace_atomic(file, before, "new")
    assert str(file) in str(caught.value)
    return caught.value.code


def test_a_file_gets_its_new_text_and_nothing_is_left_beside_it(file: Path) -> None:
    replace_atomic(file, "old", "né\r\n")
    assert file.read_bytes() == "né\r\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_mode_and_owner_stay(file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
    file.chmod(0o640)
    before = file.stat()
    replace_atomic(file, "old", "new")
    after = file.stat()
    assert (after.st_uid, after.st_gid, S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)


def test_a_symlink_stays_one_and_the_file_it_leads_to_is_rewritten(file: Path) -> None:
    (file.parent / "folder").mkdir()
    link = file.parent / "folder" / "link.yml"
    link.symlink_to(Path("..") / file.name)
    replace_atomic(link, "old", "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_file_that_someone_else_has_changed_is_left_to_them(file: Path) -> None:
    assert refusal(file, "older") == "file-changed"
    assert_untouched(file)


@pytest.mark.parametrize("step", ["fsync", "fchmod", "fchown"])
def test_where_the_disk_is_full_or_the_owner_cannot_stay_nothing_changes(
    file: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    assert refusal(file, "old") == "cannot-write"
    monkeypatch.undo()
    assert_untouched(file)


def test_an_interrupted_write_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_atomic(file, "old", "new")
    assert_untouched(file)


def test_what_is_no_file_cannot_be_rewritten(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe", "") == "cannot-write"
    assert refusal(tmp_path / "nothing", "") == "cannot-write"
