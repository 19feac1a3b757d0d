"""What was started, on disk before it is: enough to find a lab again and to clear it away after any crash."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dockmesh.lab.inventory import folder
from dockmesh.lab.topology import FOLDER, Topology, topology

_FORMAT = "dockmesh/lab/1"


@dataclass(frozen=True, slots=True)
class State:
    """The lab that was asked for, the images under its hosts, and whether it ever came up whole."""

    name: str
    hosts: int
    releases: tuple[str, ...]
    images: dict[str, str]
    complete: bool = False
    light: bool = False
    varied: bool = False

    @property
    def topology(self) -> Topology:
        """What was asked for, worked out."""
        return topology(self.name, self.hosts, self.releases, light=self.light, varied=self.varied)

    def write(self) -> None:
        """Replace the lab's state file, whole or not at all."""
        folder(self.name).mkdir(parents=True, exist_ok=True)
        beside = folder(self.name) / "state.json.new"
        document = {"format": _FORMAT, **{field: getattr(self, field) for field in self.__slots__}}
        beside.write_text(json.dumps(document, indent=2) + "\n")
        beside.rename(_file(self.name))

    @classmethod
    def read(cls, name: str) -> Self | None:
        """The state of that lab, or None: no such lab, or none that this version could have written."""
        try:
            document = json.loads(_file(name).read_text())
            if document.pop("format") != _FORMAT:
                return None
            return cls(**document | {"releases": tuple(document["releases"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextmanager
def locked(name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Have the lab to oneself. The lock goes with its holder, so a killed one leaves none behind."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FOLDER / f"{name}.lock"
    while True:
        with lock.open("w") as held:
            _acquire(held.fileno(), on_wait)
            if _is_current(held.fileno(), lock):
                yield
                return


def forget(name: str) -> None:
    """Remove the lock file of a lab that is gone; to be called by its holder."""
    (FOLDER / f"{name}.lock").unlink(missing_ok=True)


def _acquire(descriptor: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_current(descriptor: int, lock: Path) -> bool:
    """Whether the file locked is still the one others will open: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False


def _file(name: str) -> Path:
    return folder(name) / "state.json"
