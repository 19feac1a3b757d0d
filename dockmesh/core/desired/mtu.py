"""The MTU of docker0 and of new networks: at most the MTU of the smallest uplink of the mesh.

A container cannot learn of a smaller uplink on another host, and larger packets are lost there without an error.
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
# dockerd does not start if a flag and a key in its file set the same value.
FLAGS = {_DOCKER0: "--mtu", _NETWORKS: "--default-network-opt"}
_FLAGGED = re.compile(r"(?:^|\.driver\.mtu=)(\d{1,6})$")
# An older dockerd does not know the key and does not start with it.
NETWORK_OPTS_SINCE = 24


@dataclass(frozen=True, slots=True)
class MtuPlan:
    """The MTU values of daemon.json, None for no key. dockmesh sets `set_mtu` at the paths `lowered`."""

    values: Mapping[daemon_json.Path, Any]
    set_mtu: int | None
    lowered: frozenset[daemon_json.Path]


def plan_mtu(facts: HostFacts, docker: DockerFacts, smallest: SmallestUplink) -> MtuPlan:
    """Return the MTUs that fit every uplink; values of the operator or of Docker are only lowered, never raised.

    Raises:
        DaemonJsonError: the host's daemon.json is not a JSON object.
        HostError: the record of the original state is unreadable.
    """
    text, before = facts.daemon_json, recorded_or_current(facts)
    limit = smallest.limit(before.set_mtu)
    values = {path: daemon_json.value_at(text, path) for path in FLAGS}
    values |= {
        path: daemon_json.value_at(before.daemon_json, path) for path in paths_with_set_mtu(text, before.set_mtu)
    }
    known = (_DOCKER0, *([_NETWORKS] if docker.major >= NETWORK_OPTS_SINCE else []))
    sizes = {path: daemon_json.parse_mtu(values[path]) or _flag_mtu(docker, path) or DEFAULT_MTU for path in known}
    lowered = frozenset(path for path, size in sizes.items() if size > limit)
    values |= {path: limit if path == _DOCKER0 else str(limit) for path in lowered}
    return MtuPlan(values, limit if lowered else None, lowered)


def paths_with_set_mtu(text: str | None, set_mtu: int | None) -> set[daemon_json.Path]:
    """Return the paths in daemon.json that have the MTU set by dockmesh."""
    return {
        path
        for path in FLAGS
        if set_mtu is not None and daemon_json.parse_mtu(daemon_json.value_at(text, path)) == set_mtu
    }


def docker0_mtu(facts: HostFacts, text: str | None) -> int:
    """Return the MTU that docker0 gets if Docker starts with `text` as its daemon.json."""
    named, current = (daemon_json.parse_mtu(daemon_json.value_at(each, _DOCKER0)) for each in (text, facts.daemon_json))
    # Without a value in the current file, docker0 runs with Docker's default or with that of a flag.
    running = facts.actual.docker if current is None else None
    return named or (running.mtu if running else DEFAULT_MTU)


def keep_running_mtu(
    facts: HostFacts, wanted: DockerNetworking, text: str, smallest: SmallestUplink
) -> DockerNetworking:
    """Return `wanted`, or the running state if only a fitting MTU of the operator differs.

    The operator decides when an MTU in daemon.json takes effect, so dockmesh does not restart Docker for it.
    """
    running = facts.actual.docker
    if running is None or replace(running, mtu=wanted.mtu) != wanted:
        return wanted
    unchanged = daemon_json.value_at(text, _DOCKER0) == daemon_json.value_at(facts.daemon_json, _DOCKER0)
    return running if unchanged and running.mtu <= smallest.mtu else wanted


def _flag_mtu(docker: DockerFacts, path: daemon_json.Path) -> int | None:
    """The MTU from a flag of dockerd."""
    match = _FLAGGED.search(docker.flag(FLAGS[path]) or "")
    return int(match[1]) if match else None
