"""One job per host, a bounded number at once, results as they come. A host's failure is its result."""

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, as_completed, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dockmesh.core.model import Host
from dockmesh.errors import HostError

T = TypeVar("T")


class Observer(Protocol):
    """Hears how a run goes on."""

    def phase(self, name: str, hosts: int) -> None:
        """A phase begins, in which `done` will be called `hosts` times."""

    def done(self, host: str, error: str | None) -> None:
        """A host is through the phase."""

    def outcome(self, host: str, status: str, error: str | None) -> None:
        """What has become of a host in the end."""


def fan_out(
    executor: Executor, hosts: Iterable[Host], job: Callable[[Host], T]
) -> Iterator[tuple[Host, T | HostError]]:
    """Run `job` for every host on `executor`, and yield each host with its result as soon as it is there.

    A HostError is a result; any other exception is a defect of dockmesh and is raised. Left early, what has not begun
    is cancelled.
    """
    futures = {executor.submit(_attempt, job, host): host for host in hosts}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()


@dataclass(frozen=True, slots=True)
class ObservedFanOut:
    """Fans out before an observer."""

    executor: Executor
    observer: Observer

    def each(self, phase: str, hosts: Collection[Host], job: Callable[[Host], T]) -> dict[str, T | HostError]:
        """`job` on all hosts; the results by name."""
        self.observer.phase(phase, len(hosts))
        return {host.name: self._told(host, result) for host, result in fan_out(self.executor, hosts, job)}

    def waves(
        self, phase: str, hosts: Collection[Host], job: Callable[[Host], T], *, within_s: float
    ) -> Iterator[dict[str, T | HostError]]:
        """As `each`, but first results wait no longer than `within_s` for the others, which come in a later wave."""
        self.observer.phase(phase, len(hosts))
        running = {self.executor.submit(_attempt, job, host): host for host in hosts}
        try:
            while running:
                first, _ = wait(running, return_when=FIRST_COMPLETED)
                others, _ = wait(running.keys() - first, timeout=within_s)
                ended = [(running.pop(future), future) for future in first | others]
                yield {host.name: self._told(host, future.result()) for host, future in ended}
        finally:
            for future in running:
                future.cancel()

    def _told(self, host: Host, result: T | HostError) -> T | HostError:
        error = str(result) if isinstance(result, HostError) else getattr(result, "error", None)
        self.observer.done(host.name, error)
        return result


def _attempt(job: Callable[[Host], T], host: Host) -> T | HostError:
    try:
        return job(host)
    except HostError as error:
        return error
