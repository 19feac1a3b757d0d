"""OpenSSH's configuration, with what it includes."""

from pathlib import Path

import pytest

from dockmesh.core.model import Login
from dockmesh.remote import sshconfig
from dockmesh.remote.configuration import Configuration
from dockmesh.remote.connections import Connections


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh/conf.d").mkdir(parents=True)
    return tmp_path / ".ssh"


CONFIG = """\
Include conf.d/* "~/.ssh/extra"
User all
# Host comment
Host docker1 "docker2" docker-old !docker9
  HostName 192.0.2.1
host = web docker*.example.com
  Include nowhere
  Port 2222
"""


def test_included_hosts_stand_in_their_places(home: Path) -> None:
    (home / "config").write_text(CONFIG)
    (home / "conf.d/b").write_text("Host docker4\n  HostName 192.0.2.4\n")
    (home / "conf.d/a").write_text("Host docker3\n  User three\nInclude conf.d/../deeper\n  Port 3\n")
    (home / "deeper").write_text("Host docker5\n  Port 5\n")
    found, others = sshconfig.entries(home / "config", "docker*")
    assert [(entry.name, Path(entry.file).name, entry.line) for entry in found] == [
        ("docker3", "a", 1),
        ("docker5", "deeper", 1),
        ("docker4", "b", 1),
        ("docker1", "config", 4),
        ("docker2", "config", 4),
        ("docker-old", "config", 4),
    ]
    assert others == ["web"]


def test_dockmesh_logs_in_as_included_files_say(home: Path) -> None:
    (home / "config").write_text("Include conf.d/*\n")
    (home / "conf.d/fleet").write_text("Host docker1\n  HostName 192.0.2.7\n  User deploy\n  Port 2222\n")
    connection = Connections(Configuration(), timeout_s=5).prepare(Login(address="docker1"))
    assert (connection.host, connection.user, connection.port) == ("192.0.2.7", "deploy", 2222)


def test_files_that_include_each_other_without_end_are_refused(home: Path) -> None:
    (home / "config").write_text("\nInclude config\n")
    with pytest.raises(ValueError, match=r"config:2: files include each other more than 16 deep"):
        list(sshconfig.lines(home / "config"))
