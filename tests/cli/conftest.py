"""The command line, called as a user does, over hosts in memory."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import FLEET
from fakehosts import FakeHost, FakeLan

from dockmesh.cli import apply, main, open_run

Run = Callable[..., tuple[int, str, str]]
Refused = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dockmesh", *words])
        # As main leaves, and the test runner stays; its garbage collection is its own, and so is its Ctrl-C.
        monkeypatch.setattr("os._exit", sys.exit)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setattr("gc.set_threshold", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return called


@pytest.fixture
def problems_of_call(run: Run) -> Refused:
    """What is wrong with a call, which exits with 4: the problems of its document; people read them on stderr."""

    def called(*words: str) -> list[dict[str, Any]]:
        status, out, err = run(*words, "--json")
        document = json.loads(out)
        assert (status, document["format"]) == (4, "dockmesh/problems/1")
        problems: list[dict[str, Any]] = document["problems"]
        assert all(set(each) == {"file", "line", "column", "code", "message"} for each in problems)
        assert all(each["message"] in err for each in problems)
        assert run(*words)[:2] == (4, ""), "without --json, stdout stays empty"
        return problems

    return called


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory of FLEET in a folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCKMESH_INVENTORY", raising=False)
    hosts = (f"  {each.name}: {{address: {each.underlay}, prefix: {each.prefix}}}\n" for each in FLEET.hosts)
    file = tmp_path / "mesh.yml"
    file.write_text(f"hosts:\n{''.join(hosts)}")
    return file


@pytest.fixture
def lan(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLan:
    """The hosts that the inventory leads to, with someone at a terminal."""
    assert mesh.exists()
    hosts = FakeLan({host.name: FakeHost(host) for host in FLEET.hosts})
    monkeypatch.setattr(
        open_run,
        "SshTransport",
        lambda _configuration, *, timeout_s, password, **_: hosts if timeout_s > 0 and not password else None,
    )
    monkeypatch.setattr(apply, "has_terminal", lambda: True)
    return hosts
