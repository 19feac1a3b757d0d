"""Secrets never appear in text, and the prompt uses a terminal or an askpass program."""

import pickle
from pathlib import Path

import pytest

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.remote.ssh import secret
from dockmesh.remote.ssh.secret import Secret, ask


def test_a_secret_appears_in_no_text() -> None:
    kept = Secret("hunter2")
    assert "hunter2" not in f"{kept} {kept!r} {[kept]}"
    assert kept.reveal() == b"hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(kept)


@pytest.mark.parametrize(
    ("script", "answer"), [('echo "$1"; echo more', b"sudo: "), ("exit 1", None), ("echo x; exit 1", None), ("", None)]
)
def test_without_a_terminal_the_askpass_program_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, answer: bytes | None
) -> None:
    monkeypatch.setattr(secret, "_terminal", lambda: False)
    program = tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    given = ask("sudo", "NONE", "PROGRAM", environment={"PROGRAM": str(program), "NONE": ""})
    assert (given.reveal() if given else None) == answer


def test_an_askpass_program_that_cannot_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_terminal", lambda: False)
    assert ask("sudo", "PROGRAM", environment={}) is None
    with pytest.raises(UsageError, match="/absent") as caught:
        ask("sudo", "PROGRAM", environment={"PROGRAM": "/absent"})
    assert caught.value.code == UsageCode.NO_PASSWORD
