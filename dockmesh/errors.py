"""Everything dockmesh raises on purpose, and the exit status each stands for.

A host's failure during a run is a value in the result, not an exception that ends it; what is raised here either
ends the run before any host was contacted or crosses the one seam between a host's thread and its result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

from dockmesh.error_codes import HostErrorCode, LabCode, ProblemCode, UsageCode


class ExitStatus(IntEnum):
    """Every exit status of dockmesh; `docs/generate.py` says what each means."""

    DONE = 0
    INTERNAL_ERROR = 1
    CHANGES_PENDING = 2
    HOST_FAILED = 3
    INVALID_CALL = 4
    INTERRUPTED = 130


class DockmeshError(Exception):
    """Root of the tree. The text is for people: what is wrong, where, and what to do."""

    exit_status: ClassVar[int] = ExitStatus.INTERNAL_ERROR
    code: str | None = None


class UsageError(DockmeshError):
    """The call or a file it names is wrong; nobody was contacted."""

    exit_status = ExitStatus.INVALID_CALL

    def __init__(self, message: str, *, code: UsageCode) -> None:
        super().__init__(message)
        self.code = code


class InvalidValueError(ValueError):
    """A text that is no value of its kind. Whoever knows its place makes a Problem of it."""

    def __init__(self, code: ProblemCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file. `line` and `column` count from 1; 0 is said of what stands on the command line."""

    file: str
    line: int
    column: int
    code: ProblemCode
    message: str

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN: message`, as compilers say it and editors jump to it."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"


class InventoryError(UsageError):
    """The inventory is invalid; carries every problem found, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)), code=UsageCode.INVALID_INPUT)


@dataclass(frozen=True, slots=True)
class HostFailure:
    """Why a host failed, as a value in a result. `code` is a HostErrorCode, or what a run found by probing the host."""

    code: str
    message: str

    def __str__(self) -> str:
        """The message."""
        return self.message


class HostError(DockmeshError):
    """One host failed, was refused or could not be reached; the text names cause and remedy."""

    exit_status = ExitStatus.HOST_FAILED
    code: HostErrorCode

    def __init__(self, message: str, *, code: HostErrorCode) -> None:
        super().__init__(message)
        self.code = code

    @property
    def failure(self) -> HostFailure:
        """The error as a value."""
        return HostFailure(self.code, str(self))


class UnreachableError(HostError):
    """No SSH session to the host came about, or it was lost."""

    def __init__(self, message: str, *, code: HostErrorCode = HostErrorCode.UNREACHABLE) -> None:
        super().__init__(message, code=code)


class NoDockerError(HostError):
    """The host can be worked with, but has no Docker."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=HostErrorCode.DOCKER_MISSING)


@dataclass(frozen=True, slots=True)
class StaleReason:
    """One thing that differs from what a saved plan was made from. `host` is None where it concerns the whole fleet."""

    code: Literal["inventory-changed", "templates-changed", "host-changed", "not-in-plan", "only-in-plan"]
    host: str | None
    message: str


class StalePlanError(HostError):
    """A saved plan no longer holds; carries every reason."""

    def __init__(self, message: str, *, file: str, reasons: Sequence[StaleReason]) -> None:
        super().__init__(message, code=HostErrorCode.STALE_PLAN)
        self.file = file
        self.reasons = tuple(reasons)


class LabError(DockmeshError):
    """The lab cannot do what was asked of it on this machine."""

    exit_status = ExitStatus.HOST_FAILED

    def __init__(self, message: str, *, code: LabCode) -> None:
        super().__init__(message)
        self.code = code
