"""dockmesh as users call it: an inventory on disk, a separate process, its output and its exit status."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any

import forked_call
import yaml
from terminal import YES_OR_NO, conversation

from dockmesh.lab.running import Lab

WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A call that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The single JSON document on stdout. Raises ValueError for anything else."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def mispredictions(self) -> list[Any]:
        """The probes of an apply that contradict its forecast."""
        if self.stdout.startswith("{"):
            return self.document.get("mispredictions") or []
        return [line for line in self.stdout.splitlines() if line.startswith("≠ ")]

    @property
    def words(self) -> str:
        """The output for people, with line breaks and repeated blanks as one blank."""
        return " ".join(self.stdout.split())


@dataclass(frozen=True, slots=True)
class Mesh:
    """Hosts of the lab in a separate inventory."""

    lab: Lab
    file: Path

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names in the inventory."""
        return tuple(yaml.safe_load(self.file.read_text())["hosts"])

    def argv(self, *words: str) -> tuple[str, ...]:
        """The command line of a call: its verb, then the rest."""
        return (sys.executable, "-m", "dockmesh", *words, "-i", str(self.file))

    def dockmesh(self, *words: str, within_s: float = WITHIN_S) -> CommandResult:
        """Call dockmesh without a terminal. Raises AssertionError if the forecast contradicts the probes."""
        done = self.call(words, within_s)
        ended = CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert not (found := ended.mispredictions), found
        return ended

    def call(self, words: Sequence[str], within_s: float) -> subprocess.CompletedProcess[bytes]:
        """Call dockmesh in a process of its own."""
        return forked_call.call(
            (*words, "-i", str(self.file)), folder=self.file.parent, environment=self.environment(), within_s=within_s
        )

    def environment(self) -> dict[str, str]:
        """The environment of the tests with a separate home, so no SSH configuration or key of a user applies."""
        return {**os.environ, "HOME": str(self.file.parent), "SSH_AUTH_SOCK": ""}

    def on_a_terminal(self, *words: str, answer: str, within_s: float = WITHIN_S) -> CommandResult:
        """Call dockmesh on a terminal and answer its question. stdout has all output of the terminal."""
        environment = self.environment() | {"TERM": "xterm", "COLUMNS": "160"}
        status, shown = conversation(
            self.argv(*words),
            [(YES_OR_NO, answer)],
            folder=self.file.parent,
            environment=environment,
            within_s=within_s,
        )
        return CommandResult(status, shown, "")


def write_inventory(
    lab: Lab, folder: Path, hosts: Mapping[str, Mapping[str, Any]], *, name: str = "mesh.yml", **sections: Any
) -> Mesh:
    """An inventory of the lab's `hosts`, each with its keys of the lab's inventory but for those given.

    A key that is given as None is left out. `sections` are those of the inventory, their keys replaced likewise.
    """
    document = yaml.safe_load(lab.inventory.read_text())
    for section, keys in sections.items():
        document[section] = _merged(document[section], keys)
    document["hosts"] = {host: _merged(document["hosts"][host], keys) for host, keys in hosts.items()}
    file = folder / name
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return Mesh(lab, file)


def is_within(address: str, prefix: IPv4Network | IPv6Network) -> bool:
    """Whether an address that was read lies in a prefix."""
    return ip_address(address) in prefix


def _merged(keys: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**keys, **other}.items() if value is not None}
