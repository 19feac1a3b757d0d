"""The exceptions of dockmesh, each with its exit status.

During a run, the failure of a host is a value in the result. An exception ends the run before any host is contacted, or
carries the failure from the host's thread to its result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

from dockmesh.error_codes import HostErrorCode, LabCode, ProblemCode, UsageCode


class ExitStatus(IntEnum):
    """Every exit status of dockmesh. `docs/generate.py` has their meanings."""

    DONE = 0
    INTERNAL_ERROR = 1
    CHANGES_PENDING = 2
    HOST_FAILED = 3
    INVALID_CALL = 4
    INTERRUPTED = 130


class DockmeshError(Exception):
    """The base of all errors. The text names the location, the problem and the fix."""

    exit_status: ClassVar[int] = ExitStatus.INTERNAL_ERROR
    code: str | None = None


class UsageError(DockmeshError):
    """The command line, or a file that it names, is invalid. No host was contacted."""

    exit_status = ExitStatus.INVALID_CALL

    def __init__(self, message: str, *, code: UsageCode) -> None:
        super().__init__(message)
        self.code = code


class InvalidValueError(ValueError):
    """A text is no valid value. The caller knows the location and turns this into a Problem."""

    def __init__(self, code: ProblemCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file. `line` and `column` count from 1; both are 0 for a value on the command line."""

    file: str
    line: int
    column: int
    code: ProblemCode
    message: str

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN: message`, the format of compilers that editors can follow."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"


class InventoryError(UsageError):
    """The inventory is invalid. `problems` has every problem, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)), code=UsageCode.INVALID_INPUT)


@dataclass(frozen=True, slots=True)
class HostFailure:
    """The failure of a host as a value in a result. `code` is a HostErrorCode, or the code of a failed probe."""

    code: str
    message: str

    def __str__(self) -> str:
        """The message."""
        return self.message


class HostError(DockmeshError):
    """One host failed, was refused or is unreachable. The text names cause and fix."""

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
    """The SSH session to the host failed to open, or was lost."""

    def __init__(self, message: str, *, code: HostErrorCode = HostErrorCode.UNREACHABLE) -> None:
        super().__init__(message, code=code)


class NoDockerError(HostError):
    """The host is usable but has no Docker."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=HostErrorCode.DOCKER_MISSING)


@dataclass(frozen=True, slots=True)
class StaleReason:
    """One difference between a saved plan and the present. `host` is None for the inventory and the templates.

    `already-applied`: the host had changes in the saved plan, and needs none now. `not-applied`: it still needs them,
    while another host needs none.
    """

    code: Literal[
        "inventory-changed",
        "templates-changed",
        "already-applied",
        "not-applied",
        "host-changed",
        "not-in-plan",
        "only-in-plan",
    ]
    host: str | None
    message: str


class StalePlanError(HostError):
    """A saved plan is stale. `reasons` has every difference."""

    def __init__(self, message: str, *, file: str, reasons: Sequence[StaleReason]) -> None:
        super().__init__(message, code=HostErrorCode.STALE_PLAN)
        self.file = file
        self.reasons = tuple(reasons)


class TooSlowError(HostError):
    """The hosts could not be confirmed in time. The text has the numbers."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=HostErrorCode.CONFIRM_TOO_SHORT)


class LabError(DockmeshError):
    """The lab failed, or this machine cannot run it."""

    exit_status = ExitStatus.HOST_FAILED

    def __init__(self, message: str, *, code: LabCode) -> None:
        super().__init__(message)
        self.code = code
