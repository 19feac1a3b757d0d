"""Types of the inventory's keys: for each the parser of its text and its JSON Schema."""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from dockmesh.core.addresses import IPV4, IPV6, Family
from dockmesh.core.inventory import addresses, scalars
from dockmesh.core.model import Allow
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

_T = TypeVar("_T")
_STRING: Final = {"type": "string"}


def _scalar(read: Callable[[str], _T]) -> PlainValidator:
    def validate(value: object) -> _T:
        if isinstance(value, str):
            return read(value)
        if value is None:
            raise InvalidValueError(ProblemCode.MISSING_VALUE, "has no value. Fix: add a value or remove the key")
        raise InvalidValueError(ProblemCode.WRONG_TYPE, "must be a single value")

    return PlainValidator(validate)


def _choice(*known: str) -> tuple[PlainValidator, WithJsonSchema]:
    def choose(text: str) -> str:
        if text in known:
            return text
        raise InvalidValueError(
            ProblemCode.UNKNOWN_VALUE,
            f"{quoted(text)} is unknown. Fix: use {' or '.join(known)}{did_you_mean(text, known)}",
        )

    return _scalar(choose), WithJsonSchema({"enum": list(known)})


def _matching(pattern: str) -> WithJsonSchema:
    return WithJsonSchema(_STRING | {"pattern": f"^{pattern}$"})


def _between(low: int, high: int) -> tuple[PlainValidator, WithJsonSchema]:
    limits = {"type": "integer", "minimum": low, "maximum": high}
    return _scalar(partial(scalars.parse_int, low=low, high=high)), WithJsonSchema(limits)


def _address(family: Family) -> tuple[PlainValidator, WithJsonSchema]:
    return _scalar(partial(addresses.underlay, family=family)), WithJsonSchema(_STRING | {"format": f"ipv{family}"})


def _with_length(read: Callable[..., object], family: Family) -> tuple[PlainValidator, WithJsonSchema]:
    return _scalar(partial(read, family=family)), _matching(addresses.RULES[family].pattern)


# None means that the key is absent: _scalar rejects a key without a value.
MeshName = Annotated[str, _scalar(scalars.name), _matching(scalars.NAME)]
HostName = Annotated[str, _matching(scalars.NAME)]
Tag = Annotated[str, _scalar(scalars.tag), _matching(scalars.TAG)]
Allowed = Annotated[Allow, _scalar(scalars.allow), _matching("(tcp|udp)(/[0-9]+(-[0-9]+)?)?")]
Word = Annotated[str | None, _scalar(scalars.parse_word), _matching(scalars.WORD)]
Jump = Annotated[str | None, _scalar(scalars.jump), _matching(scalars.WORD)]
Netns = Annotated[str | None, _scalar(scalars.netns), _matching(scalars.NETNS)]
Address = Annotated[IPv4Address | str | None, _scalar(scalars.address), _matching(scalars.ADDRESS)]
Underlay = Annotated[IPv4Address | None, *_address(IPV4)]
Prefix = Annotated[IPv4Network | None, *_with_length(addresses.prefix, IPV4)]
Pool = Annotated[IPv4Network | None, _scalar(addresses.pool), _matching(addresses.RULES[IPV4].pattern)]
Bridge = Annotated[IPv4Interface | None, *_with_length(addresses.bridge, IPV4)]
Underlay6 = Annotated[IPv6Address | None, *_address(IPV6)]
Prefix6 = Annotated[IPv6Network | None, *_with_length(addresses.prefix, IPV6)]
Bridge6 = Annotated[IPv6Interface | None, *_with_length(addresses.bridge, IPV6)]
Bool = Annotated[bool, _scalar(scalars.parse_bool), WithJsonSchema({"type": "boolean"})]
Port = Annotated[int | None, *_between(1, 65535)]
PrefixLength = Annotated[int, *_between(16, 30)]
PoolSize = Annotated[int, *_between(16, 29)]
Mark = Annotated[
    int, _scalar(scalars.mark), WithJsonSchema({"anyOf": [{"type": "integer"}, _STRING | {"pattern": scalars.MARK}]})
]
Seconds = Annotated[int, *_between(10, 3600)]
Policy = Annotated[Literal["strict", "accept-new"] | None, *_choice("strict", "accept-new")]
Become = Annotated[Literal["none", "sudo"] | None, *_choice("none", "sudo")]
EMPTY_IF_NULL: Final = BeforeValidator(lambda value: {} if value is None else value)
