"""pyinfra: the reading as a fact, the batch as one operation."""

import os
from pathlib import Path

from tests.bench.fleet import Fleet
from tests.bench.rivals.tool import Command, Tool

NAME = "pyinfra"
# Its default on this machine.
FORKS = 20 * (os.cpu_count() or 1)
_READ = """\
from pyinfra import host
from pyinfra.api import FactBase


class Reading(FactBase):
    def command(self, script):
        return script

    def process(self, output):
        return len(output)


assert host.get_fact(Reading, script=open(f"read/{host.name}").read())
"""
_APPLY = """\
from pyinfra import host
from pyinfra.operations import server

server.shell(commands=["ip -force -batch -"], _stdin=open(f"batch/{host.name}").read())
"""


def tools(folder: Path) -> tuple[Tool, ...]:
    """It, as installed in that folder of programs."""
    verbs = {"read": _deploy(folder, "reading.py"), "apply": _deploy(folder, "applying.py")}
    return (Tool(NAME, verbs, _write),)


def _deploy(folder: Path, file: str) -> Command:
    return lambda _fleet: (str(folder / "pyinfra"), "--yes", "inventory.py", file)


def _write(fleet: Fleet) -> None:
    login = {
        "ssh_user": "root",
        "ssh_key": f"{fleet.access}/id_ed25519",
        "ssh_known_hosts_file": f"{fleet.access}/known_hosts",
        "ssh_strict_host_key_checking": "yes",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
    }
    (fleet.folder / "inventory.py").write_text(f"hosts = ({list(fleet.addresses)!r}, {login!r})\n")
    (fleet.folder / "reading.py").write_text(_READ)
    (fleet.folder / "applying.py").write_text(_APPLY)
