"""The peers of a host."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from dockmesh.core.model import Fleet, Host
from dockmesh.core.shared import SharedSequence

T = TypeVar("T")


class Peers(Iterable[Host]):
    """Every host of the fleet except one, in the order of the fleet."""

    def __init__(self, fleet: Fleet, own: str) -> None:
        self._fleet = fleet
        self._own = fleet.positions.get(own)

    def __iter__(self) -> Iterator[Host]:
        return (host for index, host in enumerate(self._fleet.hosts) if index != self._own)

    def for_each(
        self, make: Callable[[Host], Iterable[T]], *, key: Callable[[T], Any] | None = None
    ) -> SharedSequence[T]:
        """The rows that `make` returns for every peer; arguments as for `PeerTables.without`."""
        return self._fleet.peer_tables.without(self._own, make, key=key)


def peers(fleet: Fleet, host: Host) -> Peers:
    """The peers of a host: every other host of the fleet."""
    return Peers(fleet, host.name)
