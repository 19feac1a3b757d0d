"""MTU conflicts with flags of dockerd, and notes on networks with a larger MTU."""

from collections.abc import Iterator

from dockmesh.core.desired.mtu import FLAGS, NETWORK_OPTS_SINCE, plan_mtu
from dockmesh.core.desired.original import recorded_or_current
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.planning.conflicts.docker_flags import flag_remedy
from dockmesh.core.planning.findings import Conflict, ConflictCode, Note, NoteCode


def mtu_conflicts(facts: HostFacts, docker: DockerFacts, smallest: SmallestUplink) -> Iterator[Conflict]:
    """Yield a conflict for each flag of dockerd that sets a larger MTU."""
    for path in sorted(plan_mtu(facts, docker, smallest).lowered):
        value = docker.flag(FLAGS[path])
        if value is not None:
            yield Conflict(
                ConflictCode.DOCKER_MTU_FLAG,
                "docker",
                f"dockerd is started with {FLAGS[path]}={value}, but the MTU of {smallest.device} on {smallest.host} "
                f"is {smallest.mtu}",
                flag_remedy(docker),
            )


def mtu_notes(facts: HostFacts, docker: DockerFacts, smallest: SmallestUplink) -> Iterator[Note]:
    """Yield notes on networks with too large an MTU, and on an MTU that cannot be raised yet."""
    set_mtu = recorded_or_current(facts).set_mtu
    limit = smallest.limit(set_mtu)
    remedy = (
        f"create the network again; Docker gives it {limit} (with Compose: down, then up)"
        if docker.major >= NETWORK_OPTS_SINCE
        else f"create the network again with --opt com.docker.network.driver.mtu={limit} (with Compose: driver_opts)"
    )
    for network in facts.user_networks:
        if network.driver == "bridge" and network.mtu > limit:
            yield Note(
                NoteCode.NETWORK_MTU_TOO_LARGE,
                f"network {network.name}",
                f"its MTU is {network.mtu}, but the MTU of the mesh is {limit}, so larger packets may be lost",
                remedy,
            )
    if set_mtu is not None and limit < smallest.mtu:
        yield Note(
            NoteCode.MTU_KEPT,
            "mtu",
            f"docker0 keeps the MTU {set_mtu}, since a host that was not read may have an uplink with that MTU",
            "run dockmesh apply without --limit once every host can be read",
        )
