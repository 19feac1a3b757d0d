"""Insertion of prefixes into the text of an inventory, without a change to any other byte."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final, cast

from dockmesh.core.inventory.yaml_document import Document, Mapping, Position
from dockmesh.core.inventory.yaml_reader import BREAK, BYTE_ORDER_MARK
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InventoryError

_AFTER: Final = ("underlay", "address")


@dataclass(frozen=True, slots=True, order=True)
class _Insertion:
    """Text to insert before the character at index `at`."""

    at: int
    text: str


class _Lines:
    """The lines of a text, counted from 1 as in marks."""

    def __init__(self, text: str) -> None:
        breaks = list(BREAK.finditer(text))
        self.text = text
        self._starts = [0, *(line_break.end() for line_break in breaks)]
        self._breaks = [line_break.group() for line_break in breaks] or ["\n"]

    def offset(self, mark: Position) -> int:
        line, column = mark
        return self._starts[line - 1] + column - 1

    def below(self, line: int, entry: str) -> _Insertion:
        """The insertion of `entry` as a new line below `line`; a last line without a line break stays without one."""
        if line < len(self._starts):
            return _Insertion(self._starts[line], entry + self._breaks[line - 1])
        return _Insertion(len(self.text), self._breaks[-1] + entry)


def insert_prefixes(text: str, document: Document, prefixes: dict[str, IPv4Network]) -> str:
    """Insert the key `prefix` into each host of `prefixes`, after its underlay or, without one, its address.

    Args:
        text: the inventory.
        document: the document read from `text`, without problems.
        prefixes: by host name; none of these hosts has a prefix in the inventory.

    Raises:
        InventoryError: a host merges its address with `<<`, so that it has no line to insert the prefix after.
    """
    body = text.removeprefix(BYTE_ORDER_MARK)
    lines = _Lines(body)
    pieces, done = [text[: len(text) - len(body)]], 0
    for new in sorted(_insertion(lines, document, host, str(prefix)) for host, prefix in prefixes.items()):
        pieces += body[done : new.at], new.text
        done = new.at
    return "".join((*pieces, body[done:]))


def _insertion(lines: _Lines, document: Document, host: str, prefix: str) -> _Insertion:
    keys = _keys(document, host)
    beside = next((key for key in _AFTER if key in keys.ends_at), None)
    if beside is None:
        why = f"{host} merges its address with <<, so the prefix cannot be inserted. Fix: add prefix: {prefix} by hand"
        raise InventoryError([document.problem(("hosts", host), ProblemCode.INHERITED_ADDRESS, why, at_key=True)])
    key_at, (line, column) = keys.keys_at[beside], keys.ends_at[beside]
    # JSON is also YAML and must stay JSON.
    quote = '"' if lines.text.startswith('"', lines.offset(key_at)) else ""
    entry = f"{quote}prefix{quote}: {quote}{prefix}{quote}"
    if keys.flow:
        return _Insertion(lines.offset((line, column)), f", {entry}")
    # A block scalar (`>-`) ends at the start of the next line.
    return lines.below(line - 1 if column == 1 else line, " " * (key_at[1] - 1) + entry)


def _keys(document: Document, host: str) -> Mapping:
    hosts = cast(Mapping, document.root["hosts"])
    return cast(Mapping, hosts[host])
