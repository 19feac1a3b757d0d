"""The result of a probe, from its reply."""

import re
from collections.abc import Collection

from dockmesh.core.addresses import Address
from dockmesh.core.probes.full_size import Uplink, loss_failure
from dockmesh.core.probes.model import Probe
from dockmesh.core.probes.replies import Reply
from dockmesh.core.results.model import Failure, FailureCode, ProbeResult

# The messages of shells and nsenter for a missing program.
_MISSING = re.compile(r"\bping: (?:command )?not found\b|failed to execute ping\b")


def probe_result(probe: Probe, reply: Reply | None, own: Collection[Address], uplink: Uplink | None) -> ProbeResult:
    """The result of a probe. `own`: the addresses of the source. `uplink`: the smaller uplink of the two hosts."""
    if reply is None or (reply.problem is not None and not reply.received):
        return probe.result(reply.sent if reply else 0).failed(_send_failure(reply.problem if reply else None))
    full_size = reply.full_size
    if full_size and full_size.cached_pmtu and not (uplink and uplink.mtu < full_size.size):
        # A cached path MTU can be minutes old. Only a small uplink confirms it.
        full_size = None
    mtu_ok = full_size.received > 0 if full_size and reply.received else None
    least, mean, most = reply.rtts_ms or (None, None, None)
    result = probe.result(reply.sent, reply.received, reply.ttl, mean, rtt_min_ms=least, rtt_max_ms=most, mtu_ok=mtu_ok)
    failure = _failure(result, reply, own)
    if failure is None and full_size and mtu_ok is False:
        failure = loss_failure(full_size, uplink)
    return result.failed(failure) if failure else result


def _send_failure(problem: str | None) -> Failure:
    if not problem:
        return Failure(FailureCode.NO_PING, "the source printed no result")
    return Failure(FailureCode.NO_PING if _MISSING.search(problem) else FailureCode.PING_FAILED, problem)


def _no_reply(result: ProbeResult, reply: Reply, own: Collection[Address]) -> Failure:
    error = reply.error
    if error is None:
        return Failure(FailureCode.NO_REPLY, "no reply")
    if error.next_hop_dead and error.address in own:
        reason = f"next hop dead: no ARP or neighbour discovery reply for {result.target} on the LAN"
        return Failure(FailureCode.NEXT_HOP_DEAD, reason)
    return Failure(FailureCode.ICMP_ERROR, f"{error.address or 'a router'} reports: {error.message}")


def _failure(result: ProbeResult, reply: Reply, own: Collection[Address]) -> Failure | None:
    ttl, expected = result.ttl, result.expected_ttl
    if not result.reached:
        return _no_reply(result, reply, own)
    if ttl == expected:
        return None
    why = "a closer machine has the target address" if (ttl or 0) > (expected or 0) else "the reply took a longer path"
    return Failure(FailureCode.TTL, f"the reply's TTL is {ttl}, not {expected}, because {why}")
