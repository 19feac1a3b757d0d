"""The ICMP ids and the nonces of probes, which identify the source of a packet even if NAT rewrote its address."""

from hashlib import shake_256
from typing import NamedTuple

# The largest prime of 16 bits: multiplication with any factor but 0 permutes the remainders.
_PRIME = 65521
_DRAW_BYTES = 8


class ProbeIds(NamedTuple):
    """The ICMP ids of the probes from one host and from its container."""

    host: int
    container: int


def probe_ids(seed: int, phase: int, position: int) -> ProbeIds:
    """The ids of the host at `position` in the fleet, in one phase of the run with that seed.

    The ids of up to 32,760 hosts are distinct in a phase. In each phase, a host has other ids: the connection tracking
    of a peer would accept a packet with a reused id, although the rules of the peer drop it.
    """
    draws = shake_256(f"ids {seed}".encode()).digest(3 * _DRAW_BYTES)
    factor, step, start = (int.from_bytes(draws[at : at + _DRAW_BYTES]) for at in range(0, len(draws), _DRAW_BYTES))
    factor, step = 1 + factor % (_PRIME - 1), 1 + step % (_PRIME - 1)
    first = 2 * position * factor + phase * step + start
    return ProbeIds(1 + first % _PRIME, 1 + (first + factor) % _PRIME)


def nonce(seed: int, phase: int, position: int) -> bytes:
    """The first bytes of the host's packets in that phase. Other senders cannot guess them for a forged reply."""
    return shake_256(f"nonce {seed} {phase} {position}".encode()).digest(_DRAW_BYTES)
