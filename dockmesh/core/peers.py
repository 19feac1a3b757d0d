"""The others of a fleet, and what each host has for every one of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from dockmesh.core.model import Fleet, Host
from dockmesh.core.shared import SharedSequence

T = TypeVar("T")


class Peers(Iterable[Host]):
    """Every host of the fleet but one, in the fleet's order."""

    def __init__(self, fleet: Fleet, own: str) -> None:
        self._fleet = fleet
        self._own = fleet.positions.get(own)

    def __iter__(self) -> Iterator[Host]:
        return (host for place, host in enumerate(self._fleet.hosts) if place != self._own)

    def for_each(
        self, make: Callable[[Host], Iterable[T]], *, key: Callable[[T], Any] | None = None
    ) -> SharedSequence[T]:
        """What `make` makes of every peer, one after another, or sorted by `key`; arguments as `PeerTables.without`."""
        return self._fleet.peer_tables.without(self._own, make, key=key)


def peers(fleet: Fleet, host: Host) -> Peers:
    """Every host of the fleet but this one."""
    return Peers(fleet, host.name)
