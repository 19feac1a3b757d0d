"""How long a finished change waits for its confirmation, and the largest batch in which that is not too long.

A host reverts a finished change that is not confirmed within `confirm_within`. The host that finishes first waits for
the other changes of its batch, for the probes and for the confirmations. The controller changes and confirms `forks`
hosts at a time, in turns. It sends all rows of probes at once, and all hosts probe at the same time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

# The largest time in seconds of a step on a host that responds: a change with a new login after it, the same with a
# restart of Docker, and a confirmation. They are about five times the medians of lab hosts that share two cores.
CHANGE_S = 1.5
RESTART_S = 12.0
CONFIRM_S = 0.5
# The time of the controller in seconds to send a row and to receive its result, and to write and parse one probe.
ROW_CPU_S = 6e-3
PROBE_CPU_S = 40e-6
_MOST_GRACE_S = 5.0
# The share of `confirm_within` that the estimate may use.
_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Pace:
    """The size of a run. `forks`: hosts to work on in parallel. `members`: hosts that may be in the mesh.

    `row_s`: the largest duration in seconds of a row of that many probes.
    """

    forks: int
    members: int
    probes_per_pair: int
    confirm_within_s: float
    row_s: Callable[[int], float]

    @property
    def grace_s(self) -> float:
        """How much longer than expected the controller waits for a row, for example of a host that stops responding."""
        return min(_MOST_GRACE_S, self.confirm_within_s / 10)

    def verify_s(self, changed: int) -> float:
        """The largest time in seconds to probe and confirm `changed` hosts that have finished."""
        row = self.members * self.probes_per_pair
        pairs = changed * (2 * self.members - changed)
        cpu_s = self.members * ROW_CPU_S + pairs * self.probes_per_pair * PROBE_CPU_S
        return cpu_s + self.row_s(row) + self.grace_s + self._turns(changed) * CONFIRM_S

    def wait_s(self, stages: Sequence[int], *, restarts: bool) -> float:
        """The largest time in seconds that a change waits in a batch whose stages have these numbers of hosts."""
        others = sum(map(self._turns, stages)) - 1
        return others * (RESTART_S if restarts else CHANGE_S) + self.verify_s(sum(stages))

    def in_time(self, stages: Sequence[int], *, restarts: bool) -> bool:
        """Whether a batch with these stages is confirmed in time."""
        return self.wait_s(stages, restarts=restarts) <= _SHARE * self.confirm_within_s

    def largest_batch(self, *, restarts: bool) -> int:
        """The largest number of hosts that are confirmed in time; 0 if even one host is not."""
        low, high = 0, self.members
        while low < high:
            middle = ceil((low + high) / 2)
            low, high = (middle, high) if self.in_time([middle], restarts=restarts) else (low, middle - 1)
        return low

    def collect_s(self, changed: int) -> float:
        """How long the first finished change of a batch can wait for the others before the probes must start."""
        return max(0.0, _SHARE * self.confirm_within_s - self.verify_s(changed))

    def refusal(self, stages: Sequence[int], *, restarts: bool) -> str:
        """Why a batch with these stages is not confirmed in time, with the numbers and the remedy."""
        wait_s = ceil(self.wait_s(stages, restarts=restarts))
        return (
            f"a change could wait {wait_s} s for its confirmation: {sum(stages)} of {self.members} hosts change "
            f"together, with --forks {self.forks}. The limit is {_SHARE:.0%} of confirm_within "
            f"({self.confirm_within_s:g} s). No host was changed. Fix: set confirm_within to at least "
            f"{ceil(wait_s / _SHARE)} in the inventory, or raise --forks"
        )

    def _turns(self, hosts: int) -> int:
        return ceil(hosts / self.forks)
