"""Fan-out: one job per host, a bounded number in parallel, and each result as soon as it is available."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, as_completed, wait
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from dockmesh.core.events import EventSink, HostFinished, Phase, PhaseStarted
from dockmesh.core.model import Host
from dockmesh.core.planning.plan import Outcome
from dockmesh.errors import HostError, HostFailure

T = TypeVar("T")


def fan_out(
    executor: Executor, hosts: Iterable[Host], job: Callable[[Host], T]
) -> Iterator[tuple[Host, T | HostError]]:
    """Run `job` for every host on `executor`, and yield each host with its result as soon as it is available.

    A HostError is a result. Any other exception is a defect of dockmesh and is raised. A caller that stops early
    cancels the jobs that have not started.
    """
    futures = {executor.submit(attempt, job, host): host for host in hosts}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()


def attempt(job: Callable[[Host], T], host: Host) -> T | HostError:
    """Run `job` on one host. A HostError is returned as its result."""
    try:
        return job(host)
    except HostError as error:
        return error


@dataclass(frozen=True, slots=True)
class HostResults(Generic[T]):
    """The results of one job by host name: the values, and the errors of the hosts that failed."""

    values: Mapping[str, T] = field(default_factory=dict)
    errors: Mapping[str, HostFailure] = field(default_factory=dict)

    @classmethod
    def collect(cls, results: Iterable[tuple[Host, T | HostError]]) -> "HostResults[T]":
        """Wait for all `results` and separate the errors from the values."""
        values: dict[str, T] = {}
        errors: dict[str, HostFailure] = {}
        for host, result in results:
            if isinstance(result, HostError):
                errors[host.name] = result.failure
            else:
                values[host.name] = result
        return cls(values, errors)


@dataclass(frozen=True, slots=True)
class PhaseEvents:
    """Emits the events of one phase and numbers the hosts in the order in which they finish. For one thread."""

    emit: EventSink
    phase: Phase
    total: int
    _positions: Iterator[int] = field(default_factory=lambda: count(1), init=False)

    @classmethod
    def start(cls, emit: EventSink, phase: Phase, total: int) -> "PhaseEvents":
        """Start a phase of `total` hosts."""
        emit(PhaseStarted(phase, total))
        return cls(emit, phase, total)

    def finish(self, host: str, error: str | None) -> None:
        """Emit that the host finished the phase."""
        self.emit(HostFinished(self.phase, host, next(self._positions), self.total, error))

    def watch(
        self, results: Iterable[tuple[Host, T | HostError]], *, unfinished: Collection[str] = ()
    ) -> Iterator[tuple[Host, T | HostError]]:
        """Pass `results` on, and finish the phase for each host.

        Hosts in `unfinished` have another job in this phase. They finish here only if they fail.
        """
        for host, result in results:
            if isinstance(result, HostError) or host.name not in unfinished:
                self.finish(host.name, _error_of(result))
            yield host, result


@dataclass(frozen=True, slots=True)
class ObservedFanOut:
    """Runs jobs on many hosts, each fan-out as one phase with its events."""

    executor: Executor
    emit: EventSink

    def each(self, phase: Phase, hosts: Collection[Host], job: Callable[[Host], T]) -> dict[str, T | HostError]:
        """Run `job` on all hosts, and return the results by host name."""
        events = PhaseEvents.start(self.emit, phase, len(hosts))
        return {host.name: result for host, result in events.watch(fan_out(self.executor, hosts, job))}

    def waves(
        self, phase: Phase, hosts: Collection[Host], job: Callable[[Host], T], *, within_s: float | None
    ) -> Iterator[dict[str, T | HostError]]:
        """As `each`, but in waves: a result waits at most `within_s` seconds for further ones of its wave.

        None: it waits for all of them.
        """
        events = PhaseEvents.start(self.emit, phase, len(hosts))
        running = {self.executor.submit(attempt, job, host): host for host in hosts}
        try:
            while running:
                first, _ = wait(running, return_when=FIRST_COMPLETED)
                others, _ = wait(running.keys() - first, timeout=within_s)
                ended = [(running.pop(future), future.result()) for future in first | others]
                yield {host.name: result for host, result in events.watch(ended)}
        finally:
            for future in running:
                future.cancel()


def _error_of(result: object) -> str | None:
    match result:
        case HostError():
            return str(result)
        case Outcome():
            return result.error
        case _:
            return None
