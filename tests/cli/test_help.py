"""What every command says of itself."""

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
def test_the_help_of_every_command_has_an_example_that_the_command_takes(name: str) -> None:
    told = EVERY[name].help or ""
    example = re.search(r"^ *Example: (.+)$", told, re.MULTILINE)
    assert example
    assert example[1].startswith(name)
    assert example[1] in " ".join(EVERY[name].get_help(click.Context(EVERY[name], info_name=name)).split())
    words = example[1].removeprefix(name).split()
    command = EVERY[name]
    if isinstance(command, click.Group) and words:
        command = EVERY[f"{name} {words[0]}"]
    taken = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= taken


def test_help_and_version_load_no_verb() -> None:
    asked = "import sys, dockmesh.cli; print(*{'rich', 'paramiko', 'pydantic', 'yaml'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == ""
