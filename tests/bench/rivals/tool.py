"""What a tool of the comparison is: a command for each verb it has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.fleet import Fleet

Command = Callable[[Fleet], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Tool:
    """`most`: the most hosts it is measured at. `prepare` writes what it needs into a fleet's folder."""

    name: str
    verbs: Mapping[str, Command]
    prepare: Callable[[Fleet], None]
    most: int = 1_000_000
