"""Additional desired state for hosts whose Docker uses nftables, and its original values.

Two keys of daemon.json make Docker accept packets from peers. IPv4 forwarding is on, since this Docker neither enables
it nor starts without it. The record for `destroy` keeps the original values of both separately, since Docker may change
its backend long after the host has joined.
"""

from dataclasses import replace
from typing import Any

from dockmesh.core import fwmark
from dockmesh.core.addresses import IPV4
from dockmesh.core.desired import original
from dockmesh.core.desired.original import NftablesRecord, OriginalState
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.state import daemon_json
from dockmesh.core.state.daemon_json import DIRECT_ROUTING_KEY, FWMARK_KEY
from dockmesh.core.state.resources import AcceptRules, Forwarding, HostState


def required_keys(facts: HostFacts, mark: int) -> dict[str, Any]:
    """Return the keys that daemon.json needs, for a mark of one bit."""
    return {FWMARK_KEY: str(fwmark.bit(mark)), DIRECT_ROUTING_KEY: True} if facts.docker_uses_nftables else {}


def set_keys(record: OriginalState | None) -> tuple[str, ...]:
    """Return the nftables keys of daemon.json that dockmesh has set, from the record."""
    return record.nftables.keys if record and record.nftables else ()


def opened_direct_routing(state: HostState) -> bool:
    """Return whether dockmesh enabled direct routing, from the record in a state.

    Raises:
        HostError: the record is unreadable.
    """
    return DIRECT_ROUTING_KEY in set_keys(original.load_original(state))


def stale_keys(facts: HostFacts) -> tuple[str, ...]:
    """Return the keys that dockmesh has set and must remove, since Docker no longer uses nftables.

    Raises:
        HostError: the record is unreadable.
    """
    return () if facts.docker_uses_nftables else set_keys(original.load_original(facts.actual))


def forwarding(facts: HostFacts) -> tuple[Forwarding, ...]:
    """Return the original IPv4 forwarding; the current one if dockmesh has not changed it.

    Raises:
        HostError: the record is unreadable.
    """
    current, record = facts.actual.forwarding(IPV4), original.load_original(facts.actual)
    before = record.nftables if record else None
    return () if current is None else (current if before is None else Forwarding(IPV4, before.ip_forward),)


def for_backend(state: HostState, facts: HostFacts) -> HostState:
    """Return an earlier state without resources that do not suit Docker's current firewall backend."""
    earlier, current = state.forwarding(IPV4), facts.actual.forwarding(IPV4)
    rest = [each for each in state.resources if each != earlier]
    if not facts.docker_uses_nftables:
        return HostState(tuple(rest))
    forwarding = [each for each in (earlier or current,) if each]
    return HostState((*forwarding, *(each for each in rest if not isinstance(each, AcceptRules))))


def record_backend(record: OriginalState, facts: HostFacts, mark: int) -> OriginalState:
    """Return the record with the current values if Docker has changed to nftables, without them if it changed back.

    Raises:
        DaemonJsonError: the host's daemon.json is not a JSON object.
    """
    if (record.nftables is not None) is facts.docker_uses_nftables:
        return record
    if not facts.docker_uses_nftables:
        return replace(record, nftables=None)
    present = daemon_json.load(facts.daemon_json)
    keys = tuple(key for key, value in required_keys(facts, mark).items() if present.get(key) != value)
    return replace(record, nftables=NftablesRecord(keys, facts.ip_forward))
