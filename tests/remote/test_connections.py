"""What threads share when they make and open connections at the same time."""

import fabric
import pytest

from dockmesh.core.model import Login
from dockmesh.remote.configuration import Configuration
from dockmesh.remote.connections import Connections


def test_making_a_connection_leaves_the_configuration_of_those_that_are_being_opened_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fabric and invoke rebuild a configuration from nothing to change it, and read it while they connect."""
    connections = Connections(Configuration(files=()), timeout_s=5)
    first = connections.prepare(Login(address="192.0.2.1"))

    def rebuilt(_self: fabric.Config) -> None:
        pytest.fail("the configuration that all connections share was emptied and filled again")

    monkeypatch.setattr(fabric.Config, "merge", rebuilt)
    second = connections.prepare(Login(address="192.0.2.2"))
    assert second.config is first.config
