"""MTU: flags of dockerd that conflict with it, and networks that keep a larger one."""

from collections.abc import Iterator

from dockmesh.core.desired.mtu import FLAGS, NETWORK_OPTS_SINCE, plan_mtu
from dockmesh.core.desired.original import recorded_or_current
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.planning.conflicts.docker_flags import flag_remedy
from dockmesh.core.planning.findings import Conflict, ConflictCode, Note, NoteCode


def mtu_conflicts(facts: HostFacts, docker: DockerFacts, narrow: SmallestUplink) -> Iterator[Conflict]:
    """Flags of dockerd in the place of an MTU that must be set."""
    for path in sorted(plan_mtu(facts, docker, narrow).lowered):
        value = docker.flag(FLAGS[path])
        if value is not None:
            yield Conflict(
                ConflictCode.DOCKER_MTU_FLAG,
                "docker",
                f"dockerd is started with {FLAGS[path]}={value}, but the MTU of {narrow.device} on {narrow.host} is "
                f"{narrow.mtu}",
                flag_remedy(docker),
            )


def mtu_notes(facts: HostFacts, docker: DockerFacts, narrow: SmallestUplink) -> Iterator[Note]:
    """Networks that are too large, which only their admin can make anew; and an MTU that cannot be raised yet."""
    given = recorded_or_current(facts).set_mtu
    limit = narrow.limit(given)
    remedy = (
        f"create the network again; Docker gives it {limit} (with Compose: down, then up)"
        if docker.major >= NETWORK_OPTS_SINCE
        else f"create it again with --opt com.docker.network.driver.mtu={limit} (with Compose: driver_opts)"
    )
    for network in facts.user_networks:
        if network.driver == "bridge" and network.mtu > limit:
            yield Note(
                NoteCode.NETWORK_MTU_TOO_LARGE,
                f"network {network.name}",
                f"its MTU is {network.mtu}, that of the mesh is {limit}",
                remedy,
            )
    if given is not None and limit < narrow.mtu:
        yield Note(
            NoteCode.MTU_KEPT,
            "mtu",
            f"docker0 keeps {given}, since the uplink of a host that was not read may be no larger",
            "dockmesh apply without --limit, once every host can be read",
        )
