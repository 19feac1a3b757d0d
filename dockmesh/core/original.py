"""What a host was found with, kept on it from its first apply on, for `destroy` to come back to."""

import json
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from dockmesh.core import daemon, record
from dockmesh.core.facts import ORIGINAL_JSON, HostFacts
from dockmesh.core.model import Bridge, File, Forwarding, HostState
from dockmesh.core.sections import reading

_FORMAT = "dockmesh/original/1"


@dataclass(frozen=True, slots=True)
class Original:
    """The text of daemon.json, if there was one, docker0 and Docker's pools, and what the host forwarded."""

    daemon_json: str | None
    bridge: Bridge
    forwarding: tuple[Forwarding, ...]


def dump(facts: HostFacts, text: str | None) -> File:
    """The record of a host that has not been joined; `text` is that of its daemon.json."""
    bridge = facts.actual.bridge or Bridge(None)
    document = {
        "format": _FORMAT,
        "daemon_json": text,
        "docker0": str(bridge.address) if bridge.address else None,
        "docker0_ipv6": str(bridge.address6) if bridge.address6 else None,
        "pools": record.dump_pools(bridge.pools),
        "forwarding": record.dump_resources(facts.actual.of(Forwarding)),
    }
    return File(ORIGINAL_JSON, json.dumps(document, indent=2) + "\n", "600")


def load(facts: HostFacts) -> Original | None:
    """The record that `dump` made; None where the host has none.

    Raises:
        HostError: it is not what `dump` writes.
    """
    file = facts.file(ORIGINAL_JSON)
    if file is None:
        return None
    with reading(ORIGINAL_JSON):
        document = json.loads(file.text)
        daemon.load(text := document["daemon_json"])
        address = IPv4Interface(document["docker0"]) if document["docker0"] else None
        address6 = IPv6Interface(document["docker0_ipv6"]) if document["docker0_ipv6"] else None
        bridge = Bridge(address, record.load_pools(document["pools"]), address6=address6)
        return Original(text, bridge, HostState(record.load_resources(document["forwarding"])).of(Forwarding))
