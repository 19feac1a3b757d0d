"""Parsers of the names, words and numbers of an inventory.

Every function raises InvalidValueError. The message starts with the value, so that callers can put the key before it.
"""

import re
from ipaddress import IPv4Address
from typing import Final, Literal

from dockmesh.core.addresses import IPV4
from dockmesh.core.inventory import addresses
from dockmesh.core.model import Allow
from dockmesh.core.text import quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

NAME: Final = "[a-z0-9][a-z0-9.-]{0,62}"
TAG: Final = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}"
NETNS: Final = "[A-Za-z0-9._][A-Za-z0-9._-]{0,254}"
WORD: Final = r"[^\s-]\S*"
ADDRESS: Final = "[A-Za-z0-9_][A-Za-z0-9._-]{0,252}"
MARK: Final = "0[xX]0*[1248]0{0,7}"
_NUMBER = re.compile("0|-?[1-9][0-9]{0,17}")
_HOP = re.compile("(?:(?P<user>[^@:]+)@)?(?P<host>[^@:]+)(?::(?P<port>.*))?")
_ALLOW = re.compile("(?P<protocol>tcp|udp)(?:/(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?)?")
_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def name(text: str) -> str:
    """Parse the name of a host or of the mesh."""
    if re.fullmatch(NAME, text):
        return text
    raise InvalidValueError(
        ProblemCode.BAD_NAME,
        f"{quoted(text)} is not a valid name: use 1 to 63 of a-z, 0-9, '.' and '-', first a letter or a digit"
        + _suggestion(as_name(text)[:63], text),
    )


def as_name(text: str) -> str:
    """Turn `text` into the characters that names allow; empty if none of its characters is allowed."""
    return re.sub("[^a-z0-9.-]+", "-", text.lower()).strip("-.")


def tag(text: str) -> str:
    """Parse a tag, as `--limit tag:NAME` selects it."""
    if re.fullmatch(TAG, text):
        return text
    raise InvalidValueError(
        ProblemCode.BAD_TAG,
        f"{quoted(text)} is not a valid tag: use 1 to 63 letters, digits, '_', '.' and '-', first no '.' or '-'",
    )


def parse_word(text: str) -> str:
    """Parse text that is safe as one argument of a command: never an option, never two words."""
    if not text:
        raise InvalidValueError(ProblemCode.MISSING_VALUE, "has no value. Fix: add a value or remove the key")
    if text.startswith("-"):
        raise InvalidValueError(
            ProblemCode.OPTION_LIKE, f"{quoted(text)} starts with '-', so ssh could read it as an option"
        )
    if not all(letter.isprintable() and not letter.isspace() for letter in text):
        raise InvalidValueError(ProblemCode.BAD_CHARACTER, f"{quoted(text)} contains white space or control characters")
    return text


def netns(text: str) -> str:
    """Parse the name of a network namespace: one path component below /run/netns."""
    if re.fullmatch(NETNS, text) and text not in {".", ".."}:
        return text
    raise InvalidValueError(
        ProblemCode.BAD_NETNS,
        f"{quoted(text)} is not a valid name of a network namespace: use letters, digits, '.', '_', '-', first no '-'",
    )


def address(text: str) -> IPv4Address | str:
    """Parse the SSH address of a host: an IPv4 address, or a name for DNS or ~/.ssh/config."""
    parse_word(text)
    addresses.refuse_ipv6(text)
    if re.fullmatch("[0-9.]+", text):
        return IPv4Address(addresses.address(text, IPV4))
    if re.fullmatch(ADDRESS, text):
        return text
    hint = ". Fix: use the keys user and port" if re.search("[@:]", text) else ""
    raise InvalidValueError(ProblemCode.BAD_ADDRESS, f"{quoted(text)} is neither an IPv4 address nor a host name{hint}")


def jump(text: str) -> str:
    """Parse jump hosts in the form of ssh -J: `[USER@]HOST[:PORT]`, comma-separated; or `none`."""
    parse_word(text)
    for hop in text.split(","):
        parts = _HOP.fullmatch(hop)
        if not parts:
            raise InvalidValueError(ProblemCode.BAD_JUMP, f"{quoted(text)} is not [USER@]HOST[:PORT], comma-separated")
        address(parts["host"])
        if parts["user"]:
            parse_word(parts["user"])
        if parts["port"] is not None:
            parse_int(parts["port"], 1, 65535)
    return text


def parse_int(text: str, low: int, high: int) -> int:
    """Parse a decimal integer from `low` to `high`."""
    if not _NUMBER.fullmatch(text):
        raise InvalidValueError(ProblemCode.NOT_A_NUMBER, f"{quoted(text)} is not an integer. Fix: use {low} to {high}")
    number = int(text)
    if not low <= number <= high:
        raise InvalidValueError(ProblemCode.OUT_OF_RANGE, f"{number} is out of range. Fix: use {low} to {high}")
    return number


def mark(text: str) -> int:
    """Parse a packet mark of one bit, in decimal or hexadecimal."""
    if re.fullmatch("0[xX][0-9a-fA-F]{1,8}|[1-9][0-9]{0,9}", text):
        number = int(text, 0)
        if number.bit_count() == 1 and number < 1 << 32:
            return number
    raise InvalidValueError(
        ProblemCode.BAD_MARK,
        f"{quoted(text)} is not a mark of one bit. Fix: use 0x1, 0x2, 0x4, 0x8, 0x10, … 0x80000000",
    )


def parse_bool(text: str) -> bool:
    """Parse `true` or `false`, or YAML's other words for them."""
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    raise InvalidValueError(ProblemCode.NOT_A_BOOLEAN, f"{quoted(text)} is not a boolean. Fix: use true or false")


def allow(text: str) -> Allow:
    """Parse an accepted protocol with its ports: `tcp`, `udp/53`, `tcp/8000-8099`."""
    parts = _ALLOW.fullmatch(text)
    if not parts:
        raise InvalidValueError(
            ProblemCode.BAD_PORTS, f"{quoted(text)} is not valid. Fix: use tcp, udp, tcp/PORT or tcp/FIRST-LAST"
        )
    protocol: Literal["tcp", "udp"] = "tcp" if parts["protocol"] == "tcp" else "udp"
    if parts["first"] is None:
        return Allow(protocol)
    first = parse_int(parts["first"], 1, 65535)
    last = parse_int(parts["last"], 1, 65535) if parts["last"] else first
    if last < first:
        raise InvalidValueError(ProblemCode.REVERSED_RANGE, f"{quoted(text)} ends before it begins")
    return Allow(protocol, first, last)


def _suggestion(better: str, text: str) -> str:
    return f"; did you mean {better!r}?" if better != text and re.fullmatch(NAME, better) else ""
