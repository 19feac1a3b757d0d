"""What a run is for, in the words people read; documents keep the contract's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """`nothing` is said where nothing is to be done on some hosts, `done` of a host whose change stays."""

    nothing: str
    done: str


JOINED = Wording("as the inventory wants", "confirmed")
ROLLED_BACK = Wording("with no earlier state stored than the present one", "rolled back")
REMOVED = Wording("without dockmesh", "removed")
