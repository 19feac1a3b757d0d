"""How large packets may be: Docker makes none that the smallest uplink of the mesh does not take.

Nobody tells a container of a smaller uplink on the far side of the wire, where what is too large is lost in silence.
So docker0, and networks made later, get the MTU of that uplink where they would have a larger one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dockmesh.core.desired.original import recorded_or_current
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import DEFAULT_MTU, DockerNetworking

_DOCKER0: daemon_json.Path = ("mtu",)
_NETWORKS: daemon_json.Path = ("default-network-opts", "bridge", "com.docker.network.driver.mtu")
# The flags of dockerd for the same, which it refuses to start with beside the key in its file.
FLAGS = {_DOCKER0: "--mtu", _NETWORKS: "--default-network-opt"}
_FLAGGED = re.compile(r"(?:^|\.driver\.mtu=)(\d{1,6})$")
# An older dockerd does not start on a key that it does not know.
NETWORK_OPTS_SINCE = 24


@dataclass(frozen=True, slots=True)
class MtuPlan:
    """What daemon.json shall have of MTUs, None for nothing. `given`: what dockmesh sets, at the places `lowered`."""

    values: Mapping[daemon_json.Path, Any]
    set_mtu: int | None
    lowered: frozenset[daemon_json.Path]


def plan_mtu(facts: HostFacts, docker: DockerFacts, smallest: SmallestUplink) -> MtuPlan:
    """MTUs that no uplink is too small for: lowered where the admin's own, or Docker's, are too large, and only there.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
        HostError: the record of what the host was found with is unreadable.
    """
    text, before = facts.daemon_json, recorded_or_current(facts)
    limit = smallest.limit(before.set_mtu)
    values = {path: daemon_json.value_at(text, path) for path in FLAGS}
    values |= {
        path: daemon_json.value_at(before.daemon_json, path) for path in paths_with_set_mtu(text, before.set_mtu)
    }
    known = (_DOCKER0, *([_NETWORKS] if docker.major >= NETWORK_OPTS_SINCE else []))
    sizes = {path: daemon_json.parse_mtu(values[path]) or _started_with(docker, path) or DEFAULT_MTU for path in known}
    lowered = frozenset(path for path, size in sizes.items() if size > limit)
    values |= {path: limit if path == _DOCKER0 else str(limit) for path in lowered}
    return MtuPlan(values, limit if lowered else None, lowered)


def paths_with_set_mtu(text: str | None, given: int | None) -> set[daemon_json.Path]:
    """Where in a daemon.json the MTU stands that dockmesh gave."""
    return {
        path for path in FLAGS if given is not None and daemon_json.parse_mtu(daemon_json.value_at(text, path)) == given
    }


def docker0_mtu(facts: HostFacts, text: str | None) -> int:
    """The MTU of docker0 when Docker has started with `text` for its daemon.json."""
    named, names = (daemon_json.parse_mtu(daemon_json.value_at(each, _DOCKER0)) for each in (text, facts.daemon_json))
    # Where the file names none, it is Docker's own, or that of a flag.
    running = facts.actual.docker if names is None else None
    return named or (running.mtu if running else DEFAULT_MTU)


def keep_running_mtu(facts: HostFacts, wanted: DockerNetworking, text: str, smallest: SmallestUplink) -> DockerNetworking:
    """`wanted`, or what runs where that differs in nothing but an MTU of the admin's own, and is not too large.

    When what they wrote into the file takes effect is theirs to say.
    """
    now = facts.actual.docker
    if now is None or replace(now, mtu=wanted.mtu) != wanted:
        return wanted
    theirs = daemon_json.value_at(text, _DOCKER0) == daemon_json.value_at(facts.daemon_json, _DOCKER0)
    return now if theirs and now.mtu <= smallest.mtu else wanted


def _started_with(docker: DockerFacts, path: daemon_json.Path) -> int | None:
    """The MTU that dockerd has by a flag."""
    said = _FLAGGED.search(docker.flag(FLAGS[path]) or "")
    return int(said[1]) if said else None
