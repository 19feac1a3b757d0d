"""Saved state of a lab, written before its start, so that later calls can find it or remove it after a crash."""

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
    """The requested lab, the images of its hosts by release, and whether all of it was started."""

    name: str
    hosts: int
    releases: tuple[str, ...]
    images: dict[str, str]
    complete: bool = False
    light: bool = False
    varied: bool = False
    disk: bool = False

    @property
    def topology(self) -> Topology:
        """The topology of the requested lab."""
        light, varied, disk = self.light, self.varied, self.disk
        return topology(self.name, self.hosts, self.releases, light=light, varied=varied, disk=disk)

    def write(self) -> None:
        """Replace the lab's state file atomically."""
        folder(self.name).mkdir(parents=True, exist_ok=True)
        new = folder(self.name) / "state.json.new"
        document = {"format": _FORMAT, **{field: getattr(self, field) for field in self.__slots__}}
        new.write_text(json.dumps(document, indent=2) + "\n")
        new.rename(_file(self.name))

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Read the state of a lab; None if there is none, or if another version wrote it."""
        try:
            document = json.loads(_file(name).read_text())
            if document.pop("format") != _FORMAT:
                return None
            return cls(**document | {"releases": tuple(document["releases"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextmanager
def locked(name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lock the lab. The kernel releases the lock of a killed process."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FOLDER / f"{name}.lock"
    while True:
        with lock.open("w") as file:
            _acquire(file.fileno(), on_wait)
            if _is_current(file.fileno(), lock):
                yield
                return


def forget(name: str) -> None:
    """Remove the lock file of a removed lab; only the holder of the lock may call this."""
    (FOLDER / f"{name}.lock").unlink(missing_ok=True)


def _acquire(descriptor: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_current(descriptor: int, lock: Path) -> bool:
    """Whether the locked file is still the lock file: the last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False


def _file(name: str) -> Path:
    return folder(name) / "state.json"
