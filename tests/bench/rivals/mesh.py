"""dockmesh itself."""

import sys
from pathlib import Path

from tests.bench.fleet import Fleet
from tests.bench.rivals.tool import Command

NAME = "dockmesh"
# The default of --forks.
FORKS = 64
PROGRAM = str(Path(sys.executable).with_name("dockmesh"))


def call(*words: str, inventory: str = "mesh.yml") -> Command:
    """The command of a verb with its options."""
    return lambda _fleet: (PROGRAM, words[0], "-i", inventory, *words[1:])


def last(fleet: Fleet) -> str:
    """The host that joins a fleet which stands already."""
    return fleet.hosts[-1].name
