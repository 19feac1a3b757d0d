"""Everything dockmesh raises on purpose, and the exit status each stands for.

A host's failure during a run is a value in the result, not an exception that ends it; what is raised here either
ends the run before any host was contacted or crosses the one seam between a host's thread and its result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class DockmeshError(Exception):
    """Root of the tree. The text is for people: what is wrong, where, and what to do."""

    exit_status: ClassVar[int] = 1


class UsageError(DockmeshError):
    """The call or a file it names is wrong; nobody was contacted."""

    exit_status = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file. `line` and `column` count from 1; 0 is said of what stands on the command line."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN: message`, as compilers say it and editors jump to it."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"


class InventoryError(UsageError):
    """The inventory is invalid; carries every problem found, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class HostError(DockmeshError):
    """One host failed, was refused or could not be reached; the text names cause and remedy."""

    exit_status = 3


class UnreachableError(HostError):
    """No SSH session to the host came about, or it was lost."""


class NoDockerError(HostError):
    """The host can be worked with, but has no Docker."""


class LabError(DockmeshError):
    """The lab cannot do what was asked of it on this machine."""

    exit_status = 3
