"""Real hosts for every test in this folder: one lab for the whole session, named `test`."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import labs
import mesh
import pytest
from mesh import Mesh
from stand import Stand, Story

from dockmesh.lab import lifecycle
from dockmesh.lab.running import Lab

_LAB = labs.named("test")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the session as Ctrl-C does: with every fixture's end, so that no lab stays up."""

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def lab(_interruptible: None) -> Iterator[Lab]:
    """Four hosts, fresh at the start of the session and shared by its tests.

    The first three have one generation of Docker each; the fourth is for the roles that need none.
    """
    lifecycle.down(_LAB)
    try:
        yield lifecycle.up(_LAB, 4)
    finally:
        lifecycle.down(_LAB)


@pytest.fixture(scope="session")
def stand(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Stand:
    """The hosts, furnished as admins furnish theirs."""
    three = mesh.write(lab, tmp_path_factory.mktemp("three"), {"host1": {}, "host2": {}, "host3": {}})
    return Stand(lab, three)


@pytest.fixture
def fresh(stand: Stand) -> Iterator[Mesh]:
    """The mesh of three hosts, none of which has met dockmesh; the test must leave them so, or joined."""
    stand.as_found()
    yield stand.mesh
    stand.check()


@pytest.fixture
def joined(stand: Stand) -> Iterator[Mesh]:
    """The mesh of three hosts, joined; the test must leave them so, or as they were found."""
    stand.as_joined()
    yield stand.mesh
    stand.check()


@pytest.fixture
def story(stand: Stand) -> Story:
    """How the three hosts were joined. For tests that only look, and therefore are not looked after."""
    return stand.as_joined()
