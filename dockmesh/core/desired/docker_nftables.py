"""What a host gets besides where its Docker writes its rules with nftables, and how that is taken back.

Two keys of daemon.json, by which Docker lets in what peers send; and forwarding, which Docker leaves to others there,
and does not start without. What was found of both stands in the record for `destroy` apart from the rest, since Docker
may change to nftables, or back, long after the host has joined.
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
from dockmesh.core.state.resources import Chain, Forwarding, HostState


def required_keys(facts: HostFacts) -> dict[str, Any]:
    """The keys that daemon.json shall have. A mark that an admin has chosen serves as well as any.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
    """
    return (
        {FWMARK_KEY: daemon_json.load(facts.daemon_json).get(FWMARK_KEY, fwmark.OWN), DIRECT_ROUTING_KEY: True}
        if facts.docker_uses_nftables
        else {}
    )


def set_keys(record: OriginalState | None) -> tuple[str, ...]:
    """The keys of daemon.json that dockmesh has set, as the record says."""
    return record.nftables.keys if record and record.nftables else ()


def stale_keys(facts: HostFacts) -> tuple[str, ...]:
    """Those that dockmesh has set and that are for nothing, where Docker has left nftables.

    Raises:
        HostError: the record is unreadable.
    """
    return () if facts.docker_uses_nftables else set_keys(original.load_original(facts.actual))


def forwarding(facts: HostFacts) -> tuple[Forwarding, ...]:
    """What of IPv4 the host goes back to, where forwarding is dockmesh's own.

    Raises:
        HostError: the record is unreadable.
    """
    now, record = facts.actual.forwarding(IPV4), original.load_original(facts.actual)
    before = record.nftables if record else None
    return () if now is None else (now if before is None else Forwarding(IPV4, before.ip_forward),)


def for_backend(state: HostState, facts: HostFacts) -> HostState:
    """A state of former days without what has no place now, if Docker has come to nftables since, or left."""
    then, now = state.forwarding(IPV4), facts.actual.forwarding(IPV4)
    rest = [each for each in state.resources if each != then]
    if not facts.docker_uses_nftables:
        return HostState(tuple(rest))
    switch = [each for each in (then or now,) if each]
    return HostState((*switch, *(each for each in rest if not isinstance(each, Chain))))


def record_backend(record: OriginalState, facts: HostFacts) -> OriginalState:
    """The record with what the host has now of all this, if its Docker has come to nftables; without, if it has left.

    Raises:
        daemon.DaemonJsonError: the host's daemon.json is no JSON object.
    """
    if (record.nftables is not None) is facts.docker_uses_nftables:
        return record
    if not facts.docker_uses_nftables:
        return replace(record, nftables=None)
    present = daemon_json.load(facts.daemon_json)
    ours = tuple(key for key, value in required_keys(facts).items() if present.get(key) != value)
    return replace(record, nftables=NftablesRecord(ours, facts.ip_forward))
