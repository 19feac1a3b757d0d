"""The labs of a test run, named by role and worker. Every run removes labs that earlier runs left.

Checkouts that test at the same time on one machine need labs of their own: $DOCKMESH_LABS sets theirs apart.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockmesh.lab import lifecycle
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import FOLDER, RELEASES

ROLES = ("test", "faults", "fleets", "own", "killed", "nft", "other", "power")
_APART = f"-{os.environ['DOCKMESH_LABS']}" if os.environ.get("DOCKMESH_LABS") else ""
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
_OURS = re.compile(rf"({'|'.join(ROLES)})\d*{re.escape(_APART)}")
_RUN, _WORKERS = (Path(f"/run/lock/dockmesh-tests{_APART}.{what}") for what in ("run", "workers"))


def lab_name(role: str) -> str:
    """The lab that this worker has for one of ROLES."""
    assert role in ROLES
    return f"{role}{_WORKER}{_APART}"


@contextmanager
def running_lab(
    role: str,
    hosts: int,
    releases: tuple[str, ...] = RELEASES,
    *,
    light: bool = False,
    varied: bool = False,
    disk: bool = False,
) -> Iterator[Lab]:
    """A fresh lab, removed at the end of the block."""
    name = lab_name(role)
    with _WORKERS.open("w") as workers:
        fcntl.flock(workers, fcntl.LOCK_SH)
        lifecycle.down(name)
        try:
            yield lifecycle.up(name, hosts, releases, light=light, varied=varied, disk=disk)
        finally:
            lifecycle.down(name)


@contextmanager
def labs_of_run() -> Iterator[None]:
    """Remove our labs before and after all tests of a run, in its first process.

    Waits for the workers of a killed run, which remove their labs within seconds.
    """
    with _RUN.open("w") as run:
        try:
            fcntl.flock(run, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit("another run has these labs: DOCKMESH_LABS=NAME gives this one labs of its own", returncode=4)
        with _WORKERS.open("w") as workers:
            fcntl.flock(workers, fcntl.LOCK_EX)
            _remove_labs()
        try:
            yield
        finally:
            _remove_labs()


def _remove_labs() -> None:
    """Remove every lab that a worker of a run might have left."""
    left = {path.stem for path in FOLDER.iterdir()} if FOLDER.is_dir() else set()
    for name in sorted(filter(_OURS.fullmatch, left)):
        lifecycle.down(name)
