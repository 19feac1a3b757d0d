"""A separate lab for faults, so that no other test is affected."""

from collections.abc import Iterator

import labs
import pytest
from fault_lab import CONFIRM_WITHIN_S, GRACE_S, Mesh, assert_same

from dockmesh.lab.running import Lab


@pytest.fixture(scope="session")
def faults() -> Iterator[Lab]:
    """Four hosts, with all generations of Docker, for the modules that break them."""
    with labs.running_lab("faults", 4) as standing:
        yield standing


@pytest.fixture(scope="session")
def joined_mesh(faults: Lab, tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    """Hosts 1 to 3, one per generation, joined."""
    mesh = Mesh(faults, ("host1", "host2", "host3"), tmp_path_factory.mktemp("standing"))
    mesh.join()
    mesh.settle(CONFIRM_WITHIN_S)
    mesh.found.update(mesh.states())
    return mesh


@pytest.fixture
def mesh(joined_mesh: Mesh) -> Iterator[Mesh]:
    """Hosts 1 to 3, joined. The test must leave them unchanged, and the next test gets them joined in any case."""
    yield joined_mesh
    joined_mesh.settle(CONFIRM_WITHIN_S + GRACE_S)
    after = joined_mesh.states()
    recorded = any(joined_mesh.on(host, "ls /etc/dockmesh/reverted", check=False) for host in joined_mesh.hosts)
    if recorded or after != joined_mesh.found:
        joined_mesh.join()
    assert_same(after, joined_mesh.found)
