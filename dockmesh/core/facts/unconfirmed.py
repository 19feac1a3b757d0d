"""Changes without confirmation: those that wait for it, and those that the host reverted by itself."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from dockmesh.core.host_output import Section, parsing, sanitize

_Line = Annotated[str, AfterValidator(sanitize)]
_MAX_COUNT = 10**9
_Count = Annotated[int, Field(ge=0, le=_MAX_COUNT)]


class RevertReason(StrEnum):
    """Why a host reverted a change by itself, as `templates/transaction.sh` records it."""

    NOT_CONFIRMED = "not-confirmed"
    REBOOT = "reboot"


@dataclass(frozen=True, slots=True)
class FailedRevert:
    """The failed attempts of a host to revert a change: their number, and time and problem of the last one."""

    attempts: _Count
    at: AwareDatetime
    error: _Line


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change that waits for its confirmation. `run`: the name of the run that made it.

    `reverts_at`, `reverts_in_s`: when the host reverts it by itself, as a time of the controller and in seconds after
    the host was read; None while the host reverts it. `failed`: None before the first failed revert.
    """

    run: _Line
    reverts_at: AwareDatetime | None = None
    reverts_in_s: _Count | None = None
    failed: FailedRevert | None = None

    @property
    def message(self) -> str:
        """The fact, without times, which differ between hosts."""
        if self.failed:
            return f"the change by {self.run} is not confirmed, and its revert failed: {self.failed.error}"
        return f"the change by {self.run} is not confirmed"

    def remedy(self, limit: str) -> str:
        """What the operator can do. `limit`: the hosts of the commands."""
        if self.failed:
            return (
                f"correct the cause, then dockmesh rollback --pending --limit {limit}; or keep the host as it is: "
                f"dockmesh rollback --keep-current --limit {limit}"
            )
        return f"wait, or dockmesh rollback --pending --limit {limit} (revert now; --keep-current: keep the change)"


@dataclass(frozen=True, slots=True)
class RevertedChange:
    """A change of `run` that the host reverted by itself, at a time of the controller. `reason`: a RevertReason."""

    run: _Line
    at: AwareDatetime
    reason: Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,39}$")]

    @property
    def message(self) -> str:
        """The fact, without its time."""
        reason = "after a reboot" if self.reason == RevertReason.REBOOT else "because no confirmation arrived in time"
        return f"the host reverted the change by {self.run} by itself {reason}"

    @property
    def remedy(self) -> str:
        """What the operator can do."""
        return "dockmesh apply, which also removes this record"


def parse_pending(sections: Mapping[str, Section], now: datetime) -> PendingChange | None:
    """Parse the section `pending`; None without a pending change. `now`: the time when the host was read.

    Raises:
        HostError: the section has another form.
    """
    section = sections["pending"]
    if section.status != 0:
        return None
    values = {key: value for key, _, value in (line.partition(" ") for line in section.lines())}
    seconds = reverts_at = None
    with suppress(KeyError, ValueError):
        seconds = _count(values["reverts_in"])
        reverts_at = now + timedelta(seconds=seconds)
    with parsing("pending change"):
        return PendingChange(sanitize(values["run"]), reverts_at, seconds, _parse_failed(values.get("failed"), now))


def _parse_failed(text: str | None, now: datetime) -> FailedRevert | None:
    # A full disk may have cut the record. It must not prevent the way out of the change.
    with suppress(ValueError):
        attempts, age, error = (text or "").split(" ", 2)
        return FailedRevert(_count(attempts), now - timedelta(seconds=_count(age)), sanitize(error))
    return None


def parse_reverted(sections: Mapping[str, Section], now: datetime) -> RevertedChange | None:
    """Parse the section `reverted_change`; None without a record, or if a full disk or a power cut damaged it."""
    section = sections["reverted_change"]
    with suppress(ValueError):
        age, reason, run = section.text.split(" ", 2)
        return RevertedChange(sanitize(run), now - timedelta(seconds=_count(age)), RevertReason(reason))
    return None


def _count(text: str) -> int:
    """Parse a number in the range that a saved result accepts; ValueError for any other text."""
    number = int(text)
    if not 0 <= number <= _MAX_COUNT:
        raise ValueError(f"{number} is out of range")
    return number
