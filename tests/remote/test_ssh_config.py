"""Parts of the OpenSSH configuration that paramiko does not support."""

from pathlib import Path

import pytest

from dockmesh.core.model import Login
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.connect import Connections


def ssh_config(folder: Path, text: str, **others: str) -> SshConfig:
    for name, other in others.items():
        (folder / name).write_text(other)
    (folder / "config").write_text(text)
    return SshConfig([str(folder / "config")])


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("Include one\n", "ann"),
        ("Host web*\n Include one\n Port 23\n", "ann"),
        ("Host db\n Include one\nHost *\n User bob\n", "bob"),
        ("Host web1 !web1\n User no\nMatch host web* !user nobody\n User carl # comment\n", "carl"),
        ("Include no* nothing\nUser dora\n", "dora"),
    ],
)
def test_an_include_applies_where_its_block_does(tmp_path: Path, text: str, user: str) -> None:
    found = ssh_config(tmp_path, text, one="Host web1\n User ann\nHost db\n User other\n")
    assert found.options("web1")["user"] == user
    assert not found.unsupported


def test_lines_after_an_include_belong_to_the_outer_block(tmp_path: Path) -> None:
    found = ssh_config(tmp_path, "Host web1\n Include one\n Port 23\nUser late\n", one="Host db\n User other\n")
    assert (found.options("web1")["port"], found.options("web1")["user"]) == ("23", "late")
    assert "port" not in found.options("db")
    assert "user" not in found.options("db")


def test_an_unknown_match_is_skipped_and_reported(tmp_path: Path) -> None:
    found = ssh_config(tmp_path, "Match tagged x\n User wrong\nHost web1\n User ann\n")
    assert found.options("web1")["user"] == "ann"
    assert found.unsupported == {f"Match tagged ({tmp_path}/config:1)"}


def test_unsupported_options_are_reported_for_their_hosts_only(tmp_path: Path) -> None:
    found = ssh_config(tmp_path, "Host a\n PKCS11Provider /x.so\nHost *\n ControlMaster auto\n ProxyUseFdpass no\n")
    found.options("b")
    assert not found.unsupported
    found.options("a")
    assert found.unsupported == {"PKCS11Provider"}


def test_an_unreadable_line_is_reported_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config:2: nonsense: "):
        ssh_config(tmp_path, "User a\nnonsense\n")


@pytest.mark.parametrize("wrong", ['Include "foo', "Include ~nobody-has-this-name/x"])
def test_an_unreadable_include_is_reported_with_its_place(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match=r"config:1: Include "):
        ssh_config(tmp_path, f"{wrong}\n")


def test_included_folders_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "parts" / "folder").mkdir(parents=True)
    (tmp_path / "parts" / "one").write_text("User ann\n")
    assert ssh_config(tmp_path, "Include parts/*\n").options("web1")["user"] == "ann"


ENTRIES = """\
Include conf.d/* "~/.ssh/extra"
User all
# Host comment
Host docker1 "docker2" docker-old !docker9
  HostName 192.0.2.1
host = web docker*.example.com
  Include nowhere
  Port 2222
"""


def test_hosts_of_host_lines_are_known_with_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/b").write_text("Host docker4\n  HostName 192.0.2.4\n")
    (tmp_path / "conf.d/a").write_text("Host docker3\n  User three\nInclude conf.d/../deeper\n  Port 3\n")
    found = ssh_config(tmp_path, ENTRIES, deeper="Host docker5\n  Port 5\n")
    assert [(entry.name, Path(entry.file).name, entry.line) for entry in found.entries.values()] == [
        ("docker3", "a", 1),
        ("docker5", "deeper", 1),
        ("docker4", "b", 1),
        ("docker1", "config", 4),
        ("docker2", "config", 4),
        ("docker-old", "config", 4),
        ("web", "config", 6),
    ]


def test_a_cycle_of_includes_is_an_error_as_in_openssh(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config:2: .*\b16\b") as caught:
        ssh_config(tmp_path, "\nInclude config\nUser eve\n")
    assert caught.value.code == UsageCode.BAD_SSH_CONFIG


def test_a_connection_honours_included_files(tmp_path: Path) -> None:
    fleet = "Host docker1\n  HostName 192.0.2.7\n  User deploy\n  Port 2222\n"
    connection = Connections(ssh_config(tmp_path, "Include fleet\n", fleet=fleet), timeout_s=5)
    prepared = connection.prepare(Login(address="docker1"))
    assert (prepared.host, prepared.user, prepared.port) == ("192.0.2.7", "deploy", 2222)
