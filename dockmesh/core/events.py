"""Events of a run: one stream from the work on the hosts to the progress display, the log and tests.

A sink is called by the thread in which the event happens. PhaseStarted, HostFinished, OutcomeReported and
CanariesDrawn come from the thread that runs the pipeline. All other events come from the threads of many hosts at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["read", "hold", "change", "probe", "confirm", "capture", "look"]
Work = Literal["login", "script"]


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase starts. A HostFinished follows for each of its `hosts`, unless the run is interrupted."""

    phase: Phase
    hosts: int


@dataclass(frozen=True, slots=True)
class HostFinished:
    """A host finished the phase, as number `position` of `total` hosts, counted from 1."""

    phase: Phase
    host: str
    position: int
    total: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeStarted:
    """The host is about to receive its change. Until ChangeFinished, its state is not known."""

    host: str


@dataclass(frozen=True, slots=True)
class ChangeFinished:
    """The host reported how its change ended. A host that was lost during its change never reports."""

    host: str
    status: str


@dataclass(frozen=True, slots=True)
class OutcomeReported:
    """The host's outcome in the whole run, with the texts of its warnings."""

    host: str
    status: str
    code: str | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkStarted:
    """A login on the host starts, or the host receives a script. `script` is empty for a login.

    It never has passwords, which are sent apart from scripts.
    """

    host: str
    work: Work
    script: str = ""


@dataclass(frozen=True, slots=True)
class WorkFinished:
    """The login or the script ended."""

    host: str
    work: Work
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CanariesDrawn:
    """The probes of a batch include `pairs` random pairs that it does not affect. `seed` makes them repeatable."""

    pairs: tuple[tuple[str, str], ...]
    seed: int


Event = (
    PhaseStarted
    | HostFinished
    | ChangeStarted
    | ChangeFinished
    | OutcomeReported
    | WorkStarted
    | WorkFinished
    | CanariesDrawn
)
EventSink = Callable[[Event], None]


def send_to_all(*sinks: EventSink) -> EventSink:
    """A sink that passes each event to all `sinks`, in their order."""

    def send(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return send
