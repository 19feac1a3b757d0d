"""The wording of a goal for people. JSON documents use the words of the contract."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoalText:
    """`unchanged` follows a count of hosts without changes. `done`: the status of a host that confirmed its change."""

    unchanged: str
    done: str


JOINED = GoalText("as in the inventory", "confirmed")
ROLLED_BACK = GoalText("without an earlier state to restore", "rolled back")
KEPT = GoalText("without a pending change", "kept as it is")
REMOVED = GoalText("without dockmesh", "removed")
