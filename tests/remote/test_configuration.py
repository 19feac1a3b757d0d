"""What of OpenSSH's configuration counts beyond what paramiko reads."""

from pathlib import Path

import pytest

from dockmesh.errors import UsageError
from dockmesh.remote.configuration import Configuration


def configured(folder: Path, text: str, **others: str) -> Configuration:
    for name, other in others.items():
        (folder / name).write_text(other)
    (folder / "config").write_text(text)
    return Configuration([str(folder / "config")])


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("Include one\n", "ann"),
        ("Host web*\n Include one\n Port 23\n", "ann"),
        ("Host db\n Include one\nHost *\n User bob\n", "bob"),
        ("Host web1 !web1\n User no\nMatch host web* !user nobody\n User carl # comment\n", "carl"),
        ("Include no* nothing\nUser dora\n", "dora"),
        ("Include config\nUser eve\n", "eve"),
    ],
)
def test_an_include_counts_where_its_block_does(tmp_path: Path, text: str, user: str) -> None:
    found = configured(tmp_path, text, one="Host web1\n User ann\nHost db\n User other\n")
    assert found.options("web1")["user"] == user
    assert not found.unsupported


def test_what_follows_an_include_belongs_to_the_block_around_it(tmp_path: Path) -> None:
    found = configured(tmp_path, "Host web1\n Include one\n Port 23\nUser late\n", one="Host db\n User other\n")
    assert (found.options("web1")["port"], found.options("web1")["user"]) == ("23", "late")
    assert "port" not in found.options("db")
    assert "user" not in found.options("db")


def test_a_match_that_is_not_known_is_left_out_and_named(tmp_path: Path) -> None:
    found = configured(tmp_path, "Match tagged x\n User wrong\nHost web1\n User ann\n")
    assert found.options("web1")["user"] == "ann"
    assert found.unsupported == {f"Match tagged ({tmp_path}/config:1)"}


def test_what_would_have_changed_the_outcome_is_named_where_it_counts(tmp_path: Path) -> None:
    found = configured(tmp_path, "Host a\n PKCS11Provider /x.so\nHost *\n ControlMaster auto\n ProxyUseFdpass no\n")
    found.options("b")
    assert not found.unsupported
    found.options("a")
    assert found.unsupported == {"PKCS11Provider"}


def test_a_line_that_nobody_can_read_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config:2: nonsense: "):
        configured(tmp_path, "User a\nnonsense\n")


@pytest.mark.parametrize("wrong", ['Include "foo', "Include ~nobody-has-this-name/x"])
def test_an_include_that_cannot_be_read_is_named_with_its_place(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match=r"config:1: Include "):
        configured(tmp_path, f"{wrong}\n")


def test_folders_among_what_is_included_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "parts" / "folder").mkdir(parents=True)
    (tmp_path / "parts" / "one").write_text("User ann\n")
    assert configured(tmp_path, "Include parts/*\n").options("web1")["user"] == "ann"
