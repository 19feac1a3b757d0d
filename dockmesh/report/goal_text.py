"""What a run is for, in the words people read; documents keep the contract's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoalText:
    """`nothing` is said where nothing is to be done on some hosts, `done` of a host whose change stays."""

    unchanged: str
    done: str


JOINED = GoalText("as the inventory wants", "confirmed")
ROLLED_BACK = GoalText("with no earlier state stored than the present one", "rolled back")
REMOVED = GoalText("without dockmesh", "removed")
