"""The help of every command and option."""

import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from dockmesh.cli import cli


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            assert each is not None
            yield from commands(each, *path, name)


EVERY = dict(commands(cli, "dockmesh"))


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_an_example_that_it_accepts(name: str) -> None:
    example = re.search(r"^ *Example: (.+)$", EVERY[name].help or "", re.MULTILINE)
    assert example
    assert example[1].startswith(name)
    assert example[1] in " ".join(EVERY[name].get_help(click.Context(EVERY[name], info_name=name)).split())
    words = example[1].removeprefix(name).split()
    command = EVERY[name]
    if isinstance(command, click.Group) and words:
        command = EVERY[f"{name} {words[0]}"]
    accepted = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= accepted


@pytest.mark.parametrize("name", EVERY)
def test_every_command_and_option_has_a_help_text_in_sentence_form(name: str) -> None:
    options = [each for each in EVERY[name].params if isinstance(each, click.Option)]
    texts = {each.opts[-1]: each.help or "" for each in options} | {name: (EVERY[name].help or "").partition("\n")[0]}
    assert [where for where, text in texts.items() if not re.fullmatch(r"[A-Z].*\.", text)] == []


def test_help_and_version_import_no_command() -> None:
    script = "import sys, dockmesh.cli; print(*{'rich', 'paramiko', 'pydantic', 'yaml'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == ""
