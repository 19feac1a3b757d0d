"""One job per host, a bounded number at once, results as they come. A host's failure is its result."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, as_completed
from typing import TypeVar

from dockmesh.core.model import Host
from dockmesh.errors import HostError

T = TypeVar("T")


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


def _attempt(job: Callable[[Host], T], host: Host) -> T | HostError:
    try:
        return job(host)
    except HostError as error:
        return error
