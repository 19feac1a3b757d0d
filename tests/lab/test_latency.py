"""Round trips of each command between the controller and a host, which decide its duration on distant hosts.

A relay delays every frame and counts. No test here measures time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import labs
import mesh
import pytest
from far_controller import FarController, Trips, far_controller
from mesh import Mesh

# Longer than a busy machine needs to reply. Otherwise, segments that are independent look like a chain.
RTT_MS = 300
# TCP, two for the key exchange, two for the authentication. The sshd of bookworm takes one more, and one more for the
# first channel, because its TCP waits for acknowledgements.
LOGIN = 5
# Open a channel, start a shell, send the script and read its output.
SCRIPT = 3
# A change that saves round trips lowers these numbers, here and in docs/lab.md.
PLAN = Trips(LOGIN + SCRIPT, connections=1)
STATUS = Trips(LOGIN + SCRIPT + 2, connections=1)
APPLY = Trips(2 * LOGIN + 15, connections=2)
# Scripts on one host can overlap or not, depending on the load.
OVERLAP = 3


@dataclass(frozen=True, slots=True)
class FarMesh:
    """Two hosts, and an inventory for a distant controller."""

    mesh: Mesh
    controller: FarController

    def trips(self, *words: str, status: int) -> Trips:
        """The round trips of a command on the host with the fewest: on a busy machine, one can have more."""
        self.controller.trips()
        done = self.mesh.dockmesh(*words)
        assert done.status == status, done
        return min(self.controller.trips().values(), key=lambda each: each.round_trips)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarMesh]:
    with labs.running_lab("own", 2, ("trixie",), light=True) as lab, far_controller(lab, RTT_MS) as controller:
        hosts: dict[str, dict[str, str]] = {each.name: {} for each in lab.topology.hosts}
        connection = {"netns": controller.namespace}
        folder = tmp_path_factory.mktemp("far")
        yield FarMesh(mesh.write_inventory(lab, folder, hosts, connection=connection), controller)


def assert_documented(found: Trips, documented: Trips) -> None:
    assert found.connections == documented.connections
    assert 0 <= documented.round_trips - found.round_trips <= OVERLAP, found


def test_a_plan_reads_each_host_once(far: FarMesh) -> None:
    assert far.trips("plan", status=2) == PLAN


def test_an_apply_takes_the_documented_round_trips(far: FarMesh) -> None:
    assert_documented(far.trips("apply", "--yes", status=0), APPLY)


def test_a_status_takes_the_documented_round_trips(far: FarMesh) -> None:
    assert far.mesh.dockmesh("apply", "--yes").status == 0
    assert_documented(far.trips("status", status=0), STATUS)
