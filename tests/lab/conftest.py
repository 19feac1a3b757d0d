"""Real hosts for every test in this folder: one lab for the whole session, named `test`."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from dockmesh.lab import lifecycle
from dockmesh.lab.running import Lab

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
    """Three hosts, one per Docker generation, fresh at the start of the session and shared by its tests."""
    lifecycle.down("test")
    try:
        yield lifecycle.up("test", 3)
    finally:
        lifecycle.down("test")
