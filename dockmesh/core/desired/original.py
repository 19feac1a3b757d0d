"""The record of a host's original state. Its first apply writes the record, and `destroy` restores from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.host_output import parse_json, parsing
from dockmesh.core.names import ORIGINAL_JSON
from dockmesh.core.state import codec, daemon_json
from dockmesh.core.state.resources import DockerNetworking, File, Forwarding, HostState
from dockmesh.error_codes import HostErrorCode

_FORMAT = "dockmesh/original/1"


@dataclass(frozen=True, slots=True)
class NftablesRecord:
    """The keys of daemon.json that dockmesh set for Docker's nftables backend, and the earlier ip_forward."""

    keys: tuple[str, ...]
    ip_forward: bool


@dataclass(frozen=True, slots=True)
class OriginalState:
    """The original daemon.json (None without one), docker0 with Docker's pools, and forwarding.

    `set_mtu` is the MTU that dockmesh later wrote into daemon.json, to distinguish it from the operator's. `nftables`
    is None if Docker uses iptables.
    """

    daemon_json: str | None
    docker: DockerNetworking
    forwarding: Sequence[Forwarding]
    set_mtu: int | None = None
    nftables: NftablesRecord | None = None


def recorded_or_current(facts: HostFacts) -> OriginalState:
    """Return the recorded state of a host, or its current state if it has no record yet.

    Raises:
        HostError: the record is unreadable.
    """
    bridge = facts.actual.docker or DockerNetworking(None)
    current = OriginalState(facts.daemon_json, bridge, facts.actual.of(Forwarding))
    return load_original(facts.actual) or current


def dump_original(original: OriginalState, facts: HostFacts) -> File:
    """Return the record as a file; the host's own file if it has the same content."""
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
    """Return the record in a state, or None.

    Raises:
        HostError: the record is unreadable.
    """
    file = state.file(ORIGINAL_JSON)
    return _loaded(file.text) if file else None


@lru_cache(maxsize=64)
def _loaded(record: str) -> OriginalState:
    """Parse a record. Cached, since planning reads it several times per host."""
    with parsing(ORIGINAL_JSON, HostErrorCode.RECORD_UNREADABLE):
        document = parse_json(record)
        daemon_json.load(text := document["daemon_json"])
        address = IPv4Interface(document["docker0"]) if document["docker0"] else None
        own6 = document.get("docker0_ipv6")
        address6 = IPv6Interface(own6) if own6 else None
        bridge = DockerNetworking(address, codec.load_pools(document["pools"]), address6=address6)
        forwarding = HostState(codec.load_resources(document.get("forwarding", ()))).of(Forwarding)
        set_mtu = document.get("given_mtu")
        return OriginalState(text, bridge, forwarding, set_mtu and int(set_mtu), _nftables(document.get("nftables")))


def _nftables(row: Mapping[str, Any] | None) -> NftablesRecord | None:
    if row is None:
        return None
    return NftablesRecord(
        tuple(key for key in daemon_json.NFTABLES_KEYS if key in row["keys"]), bool(row["ip_forward"])
    )
