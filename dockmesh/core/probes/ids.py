"""The ICMP ids and the nonces of probes, which identify the source of a packet even if NAT rewrote its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import shake_256

# The largest prime of 16 bits: multiplication with any factor but 0 permutes the remainders.
_PRIME = 65521
_DRAW_BYTES = 8
_KINDS: Mapping[str, int] = {"host-bridge": 0, "host-container": 1, "container-container": 2}


@dataclass(frozen=True, slots=True)
class ProbeIds:
    """The ICMP ids of one source in one phase. `start` and `factor` are remainders of the prime."""

    start: int
    factor: int

    def of(self, kind: str, target: int) -> int:
        """The id of a probe to the host at the position `target` in the fleet.

        In a fleet of up to 21,840 hosts, the probes of a source have distinct ids, because a ping accepts each reply
        with its id. So have the probes to a target, because it identifies the source by the id.
        """
        return 1 + (self.start + (len(_KINDS) * target + _KINDS[kind]) * self.factor) % _PRIME


def probe_ids(seed: int, phase: int, position: int) -> ProbeIds:
    """The ids of the host at `position` in the fleet, in one phase of the run with that seed.

    In each phase, a probe has another id: the connection tracking of a peer would accept a packet with a reused id,
    although the rules of the peer drop it.
    """
    draws = shake_256(f"ids {seed}".encode()).digest(3 * _DRAW_BYTES)
    factor, step, start = (int.from_bytes(draws[at : at + _DRAW_BYTES]) for at in range(0, len(draws), _DRAW_BYTES))
    factor, step = 1 + factor % (_PRIME - 1), 1 + step % (_PRIME - 1)
    return ProbeIds((start + phase * step + len(_KINDS) * position * factor) % _PRIME, factor)


def nonce(seed: int, phase: int, position: int) -> bytes:
    """The first bytes of the host's packets in that phase. Other senders cannot guess them for a forged reply."""
    return shake_256(f"nonce {seed} {phase} {position}".encode()).digest(_DRAW_BYTES)
