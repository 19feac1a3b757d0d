"""Prefixes put into an inventory's text: by insertions alone, so that comments and form stay as they are."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network

from dockmesh.core.inventory import marked, parse, yamldoc
from dockmesh.core.inventory.marked import Mark
from dockmesh.errors import InventoryError, Problem

_BOM = "\ufeff"
_LINE = re.compile("[^\r\n]*(?:\r\n|\r|\n|$)")
_BEFORE = ("address", "underlay")


def insert(text: str, prefixes: Mapping[str, IPv4Network], *, file: str) -> str:
    """The text with a prefix for each of these hosts, in the style of the host's other keys.

    Raises:
        InventoryError: a host's keys are written where no key can be put beside them, as in an alias.
    """
    bom, body = (_BOM, text.removeprefix(_BOM)) if text.startswith(_BOM) else ("", text)
    hosts = yamldoc.read(body, file=file).root["hosts"]
    assert isinstance(hosts, marked.Mapping)  # noqa: S101 (the caller has parsed it)
    lines = _LINE.findall(body)
    places = [(_place(hosts, name, file), prefix) for name, prefix in prefixes.items()]
    for (line, column), prefix in sorted(places, key=lambda each: each[0], reverse=True):
        lines[line - 1] = _inserted(lines[line - 1], column - 1, f"prefix: {prefix}")
    result = bom + "".join(lines)
    _check(text, result, prefixes, file)
    return result


def _check(text: str, result: str, prefixes: Mapping[str, IPv4Network], file: str) -> None:
    """What was written must say what it said, and the prefixes."""
    before = parse(text, file=file, prefixes_required=False).hosts
    after = parse(result, file=file, prefixes_required=False).hosts
    wanted = {host.name: prefixes.get(host.name, host.prefix) for host in before}
    if {host.name: host.prefix for host in after} != wanted:
        raise InventoryError([Problem(file, 1, 1, "its form leaves no room for prefixes: write them by hand")])


def _place(hosts: marked.Mapping, name: str, file: str) -> Mark:
    """The first of the host's own keys that a prefix stands before; in block style a line below the others."""
    keys, begin = hosts[name], hosts.values_at[name]
    # What comes from an anchor stands before the host.
    own = _own(keys.keys_at, begin) if isinstance(keys, marked.Mapping) else {}
    if not own:
        raise InventoryError([Problem(file, *begin, f"{name} has no keys of its own: write its prefix by hand")])
    later = [mark for key, mark in own.items() if key not in _BEFORE]
    return min(later or own.values())


def _own(marks: Mapping[str, Mark], begin: Mark) -> dict[str, Mark]:
    return {key: mark for key, mark in marks.items() if mark >= begin}


def _inserted(line: str, column: int, key: str) -> str:
    before, after = line[:column], line[column:]
    if before.strip():
        return f"{before}{key}, {after}"
    ending = after[len(after.rstrip("\r\n")) :] or "\n"
    return f"{before}{key}{ending}{before}{after}"
