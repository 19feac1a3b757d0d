"""What a status document says, whether it is of this run or out of a file: the one source of all reports."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, PlainValidator

from dockmesh.core import addresses
from dockmesh.core.addresses import FAMILIES, IPV4, IPV6, Family
from dockmesh.core.host_output import printable
from dockmesh.core.inventory.scalars import NAME, TAG

_LONGEST = 4000

# The types of a document's values, which are checked where one is read. Texts become one line that prints.
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Tag = Annotated[str, Field(pattern=f"^{TAG}$")]
Kind = Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")]
Code = Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,39}$")]
Line = Annotated[str, AfterValidator(lambda text: printable(text[:_LONGEST]))]
Address = Annotated[addresses.Address, PlainValidator(lambda text: ip_address(str(text)))]
Prefix = Annotated[addresses.Network, PlainValidator(lambda text: ip_network(str(text)))]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Ttl = Annotated[int, Field(ge=0, le=255)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]

State = Literal["reached", "failed", "unmade"]


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One probe and its answer. What a document lacks is None; texts are one line, and print."""

    source: Name
    target: Name
    kind: Kind
    reached: bool
    sent: Count
    received: Count
    ttl: Ttl | None = None
    expected_ttl: Ttl | None = None
    rtt_ms: Milliseconds | None = None
    mtu_ok: bool | None = None
    source_seen: Line | None = None
    code: Code | None = None
    reason: Line | None = None
    family: Family = IPV4

    @property
    def key(self) -> tuple[str, str, str, Family]:
        """What makes rows of two results the same question."""
        return self.source, self.target, self.kind, self.family

    @property
    def what(self) -> str:
        """The kind, and IPv6 where it is over that."""
        return f"{self.kind}{' (IPv6)' * (self.family == IPV6)}"

    @property
    def ok(self) -> bool:
        """Whether replies came, and by the way they should."""
        return self.reached and self.reason is None

    @property
    def state(self) -> State:
        """`unmade`: the probe could not be sent."""
        if self.ok:
            return "reached"
        return "failed" if self.sent else "unmade"

    @property
    def why(self) -> str:
        """The reason of a row that is not ok."""
        return self.reason or "no reply"

    @property
    def loss(self) -> float | None:
        """The share of packets that were sent and not answered."""
        return 1 - min(self.received / self.sent, 1) if self.sent else None


@dataclass(frozen=True, slots=True)
class ResultHost:
    """One host, with the error that kept it from being asked, if any, and what the inventory says of it.

    `code` is the kind of that error, a HostErrorCode.
    """

    host: Name
    error: Line | None = None
    underlay: Address | None = None
    prefix: Prefix | None = None
    docker: bool | None = None
    tags: tuple[Tag, ...] = ()
    underlay6: Address | None = None
    prefix6: Prefix | None = None
    code: Code | None = None


@dataclass(frozen=True)
class Result:
    """Who reached whom, in the fleet's order. `time` is when it was known, in UTC."""

    hosts: tuple[ResultHost, ...]
    rows: Annotated[tuple[ResultRow, ...], Field(alias="probes")]
    mesh: Name | None = None
    time: AwareDatetime | None = None

    @cached_property
    def errors(self) -> dict[str, str]:
        """Why hosts could not be asked, by their names."""
        return {each.host: each.error for each in self.hosts if each.error is not None}

    @cached_property
    def codes(self) -> dict[str, str | None]:
        """The kinds of these errors; None where the document has none."""
        return {each.host: each.code for each in self.hosts if each.error is not None}

    @cached_property
    def failed(self) -> tuple[ResultRow, ...]:
        """The rows that are not as they should be."""
        return tuple(row for row in self.rows if not row.ok)

    @cached_property
    def pairs(self) -> dict[tuple[str, str], tuple[ResultRow, ...]]:
        """The rows by source and target."""
        pairs: dict[tuple[str, str], list[ResultRow]] = {}
        for row in self.rows:
            pairs.setdefault((row.source, row.target), []).append(row)
        return {ends: tuple(rows) for ends, rows in pairs.items()}

    @property
    def families(self) -> tuple[Family, ...]:
        """Those that were probed; IPv4 where nothing was."""
        probed = {row.family for row in self.rows} or {IPV4}
        return tuple(family for family in FAMILIES if family in probed)

    @property
    def ok(self) -> bool:
        """Whether everything that should be reached is."""
        return not self.failed and not self.errors


def slowest_ms(rows: Iterable[ResultRow]) -> float | None:
    """The slowest round trip; that of a reply which came from elsewhere says nothing of a pair."""
    return max((row.rtt_ms for row in rows if row.ok and row.rtt_ms is not None), default=None)


def count(rows: Iterable[ResultRow], state: State) -> int:
    """How many rows are in that state."""
    return sum(row.state == state for row in rows)
