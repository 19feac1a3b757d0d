"""Atomic writes: complete or not at all, with mode, owner and symlinks kept."""

import errno
import os
from pathlib import Path
from stat import S_IMODE

import pytest

from dockmesh.cli.atomic_write import replace_atomic, write_private
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
    """The code of the error that a rewrite raises. Its message names the file."""
    with pytest.raises(UsageError) as caught:
        replace_atomic(file, before, "new")
    assert str(file) in str(caught.value)
    return caught.value.code


def test_a_file_gets_its_new_text_without_leftovers(file: Path) -> None:
    replace_atomic(file, "old", "né\r\n")
    assert file.read_bytes() == "né\r\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_mode_and_owner_are_kept(file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
    file.chmod(0o640)
    before = file.stat()
    replace_atomic(file, "old", "new")
    after = file.stat()
    assert (after.st_uid, after.st_gid, S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)


def test_a_symlink_is_kept_and_its_target_is_rewritten(file: Path) -> None:
    (file.parent / "folder").mkdir()
    link = file.parent / "folder" / "link.yml"
    link.symlink_to(Path("..") / file.name)
    replace_atomic(link, "old", "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_file_that_changed_meanwhile_is_not_overwritten(file: Path) -> None:
    assert refusal(file, "older") == "file-changed"
    assert_untouched(file)


@pytest.mark.parametrize("step", ["fsync", "fchmod", "fchown"])
def test_a_full_disk_or_a_forbidden_chown_changes_nothing(
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


def test_only_a_regular_file_can_be_rewritten(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe", "") == "cannot-write"
    assert refusal(tmp_path / "nothing", "") == "cannot-write"


def mode_of(file: Path) -> int:
    return S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o600, None])
def test_a_private_file_has_mode_0600_also_if_it_existed(file: Path, mode: int | None) -> None:
    if mode is None:
        file.unlink()
    else:
        file.chmod(mode)
    write_private(file, "new")
    assert (file.read_text(), mode_of(file)) == ("new", 0o600)
    assert list(file.parent.iterdir()) == [file]


def test_readers_of_the_old_file_do_not_see_a_private_text(file: Path) -> None:
    with file.open() as reader:
        write_private(file, "new")
        assert reader.read() == "old"


@pytest.mark.parametrize("dangling", [False, True])
def test_a_symlink_is_replaced_by_a_private_file(file: Path, dangling: bool) -> None:
    link = file.parent / "link"
    link.symlink_to("nowhere" if dangling else file)
    write_private(link, "new")
    assert not link.is_symlink()
    assert (link.read_text(), mode_of(link), file.read_text()) == ("new", 0o600, "old")


def test_a_pipe_receives_a_private_text(tmp_path: Path) -> None:
    receiver, sender = os.pipe()
    link = tmp_path / "link"
    link.symlink_to(f"/proc/self/fd/{sender}")
    write_private(link, "new")
    os.close(sender)
    with os.fdopen(receiver) as pipe:
        assert pipe.read() == "new"
    assert link.is_symlink()


def test_an_unwritable_folder_leaves_the_old_file(file: Path) -> None:
    with pytest.raises(OSError, match="Not a directory"):
        write_private(file / "plan", "new")
    assert_untouched(file)


def test_the_text_for_a_link_in_proc_or_dev_goes_to_its_end(tmp_path: Path) -> None:
    """Root could replace /dev/stdout itself."""
    file = tmp_path / "out"
    with file.open("w") as out:
        write_private(Path(f"/proc/self/fd/{out.fileno()}"), "text")
    assert file.read_text() == "text"
