"""What a host was found with, kept on it from its first apply on, for `destroy` to come back to."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.host_output import parsing
from dockmesh.core.names import ORIGINAL_JSON
from dockmesh.core.state import codec, daemon_json
from dockmesh.core.state.resources import DockerNetworking, File, Forwarding, HostState
from dockmesh.error_codes import HostErrorCode

_FORMAT = "dockmesh/original/1"


@dataclass(frozen=True, slots=True)
class NftablesRecord:
    """When Docker had come to nftables: the keys of daemon.json that dockmesh has set for it, and ip_forward before."""

    keys: tuple[str, ...]
    ip_forward: bool


@dataclass(frozen=True, slots=True)
class OriginalState:
    """The text of daemon.json, if there was one, docker0 and Docker's pools, and what the host forwarded.

    `given_mtu` is the MTU that dockmesh has put into daemon.json since: it tells that from the admin's own. `nftables`
    is None where Docker writes its rules by iptables.
    """

    daemon_json: str | None
    docker: DockerNetworking
    forwarding: Sequence[Forwarding]
    set_mtu: int | None = None
    nftables: NftablesRecord | None = None


def recorded_or_current(facts: HostFacts) -> OriginalState:
    """What the record says, or is to say, of a host: what it has, where it has no record yet.

    Raises:
        HostError: its record is unreadable.
    """
    bridge = facts.actual.docker or DockerNetworking(None)
    now = OriginalState(facts.daemon_json, bridge, facts.actual.of(Forwarding))
    return load_original(facts.actual) or now


def dump_original(original: OriginalState, facts: HostFacts) -> File:
    """The record as a file of the host: the one it has, to the byte, where that says the same."""
    present, bridge = facts.file(ORIGINAL_JSON), original.docker
    if present and load_original(facts.actual) == original:
        return present
    document = {
        "format": _FORMAT,
        "daemon_json": original.daemon_json,
        "docker0": str(bridge.address) if bridge.address else None,
        "docker0_ipv6": str(bridge.address6) if bridge.address6 else None,
        "pools": codec.dump_pools(bridge.pools),
        "forwarding": codec.dump_resources(original.forwarding),
        "given_mtu": original.set_mtu,
        "nftables": asdict(original.nftables) if original.nftables else None,
    }
    return File(ORIGINAL_JSON, json.dumps(document, indent=2) + "\n", "600")


def load_original(state: HostState) -> OriginalState | None:
    """The record that `dump` made; None where the state has none.

    Raises:
        HostError: it is not what `dump` writes.
    """
    file = state.file(ORIGINAL_JSON)
    return _loaded(file.text) if file else None


@lru_cache(maxsize=64)
def _loaded(record: str) -> OriginalState:
    """A host's is asked for time and again."""
    with parsing(ORIGINAL_JSON, HostErrorCode.RECORD_UNREADABLE):
        document = json.loads(record)
        daemon_json.load(text := document["daemon_json"])
        address = IPv4Interface(document["docker0"]) if document["docker0"] else None
        own6 = document.get("docker0_ipv6")
        address6 = IPv6Interface(own6) if own6 else None
        bridge = DockerNetworking(address, codec.load_pools(document["pools"]), address6=address6)
        forwarding = HostState(codec.load_resources(document.get("forwarding", ()))).of(Forwarding)
        given = document.get("given_mtu")
        return OriginalState(text, bridge, forwarding, given and int(given), _noted(document.get("nftables")))


def _noted(row: Mapping[str, Any] | None) -> NftablesRecord | None:
    if row is None:
        return None
    return NftablesRecord(
        tuple(key for key in daemon_json.NFTABLES_KEYS if key in row["keys"]), bool(row["ip_forward"])
    )
