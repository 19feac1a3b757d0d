"""What Tab offers in bash, zsh and fish, asked as these shells ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LINES = """
hosts:
  web1: {address: 10.0.0.1, prefix: 10.128.0.0/20, tags: [rack1]}
  web2: {address: 10.0.0.2, prefix: 10.128.16.0/20, tags: [rack1, edge]}
  db: {address: 10.0.0.3, prefix: 10.128.32.0/20}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh.yml").write_text(LINES)
    (tmp_path / "other.yml").write_text("hosts:\n  lone: {address: 10.0.0.9, prefix: 10.128.0.0/20}\n")
    return tmp_path


def complete(folder: Path, shell: str, **environment: str) -> list[str]:
    names = {**os.environ, "_DOCKMESH_COMPLETE": f"{shell}_complete", **environment}
    names.pop("DOCKMESH_INVENTORY", None)
    words = [sys.executable, "-m", "dockmesh"]
    done = subprocess.run(words, cwd=folder, env=names, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def completions(folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    found = complete(folder, "bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    return [each.partition(",")[2] for each in found if each]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dockmesh pl", ["plan"]),
        ("dockmesh explain ", ["web1", "web2", "db"]),
        ("dockmesh trace web1 w", ["web1", "web2"]),
        ("dockmesh plan --limit w", ["web1", "web2"]),
        ("dockmesh plan --limit t", ["tag:rack1", "tag:edge"]),
        ("dockmesh plan -l web1,!w", ["web1,!web2"]),
        ("dockmesh plan -i other.yml --limit ", ["lone"]),
        ("dockmesh plan -i absent.yml --limit ", []),
    ],
)
def test_verbs_hosts_and_tags_are_offered(folder: Path, line: str, words: list[str]) -> None:
    assert completions(folder, line) == words


def test_an_inventory_is_completed_by_the_shell_as_a_file(folder: Path) -> None:
    assert complete(folder, "bash", COMP_WORDS="dockmesh plan -i me", COMP_CWORD="3") == ["file,me"]


def test_an_inventory_with_mistakes_offers_nothing_and_says_nothing(folder: Path) -> None:
    (folder / "mesh.yml").write_text("hosts: [")
    assert completions(folder, "dockmesh explain ") == []


def test_zsh_and_fish_are_told_of_each_host_what_it_is(folder: Path) -> None:
    assert complete(folder, "zsh", COMP_WORDS="dockmesh explain d", COMP_CWORD="2") == ["plain", "db", "10.128.32.0/20"]
    assert complete(folder, "fish", COMP_WORDS="dockmesh explain d", COMP_CWORD="d")[0].startswith("plain,db")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_the_lines_that_switch_it_on(folder: Path, shell: str) -> None:
    lines = complete(folder, "x", _DOCKMESH_COMPLETE=f"{shell}_source")
    assert any("_DOCKMESH_COMPLETE" in line for line in lines)
