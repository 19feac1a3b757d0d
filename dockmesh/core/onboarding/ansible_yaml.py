"""Ansible's YAML format: groups by name, each with `hosts`, `children` and `vars`."""

from collections.abc import Iterator
from typing import Final

from dockmesh.core.inventory import yaml_reader
from dockmesh.core.inventory.yaml_document import Mapping, Position, Value
from dockmesh.core.onboarding.ansible_groups import Group, Inventory, Variable, Variables
from dockmesh.core.onboarding.ansible_ranges import expand
from dockmesh.core.onboarding.candidates import SourceLocation
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

_KEYS: Final = ("hosts", "children", "vars")
_EXPECTED: Final = "an Ansible inventory is a mapping of groups, as in all: {hosts: {web1: }}"


def parse(text: str, *, file: str) -> Inventory:
    """What the text says; what is wrong with it is among its problems.

    Raises:
        InventoryError: it is no YAML, or no single mapping.
    """
    document = yaml_reader.read(text, file=file, keys=_EXPECTED, any_tag=True)
    found = Inventory(problems=list(document.problems))
    _groups(found, file, document.root)
    return found


def _groups(found: Inventory, file: str, root: Mapping) -> None:
    """All groups. They are nested no deeper than the document may be."""
    waiting = list(_entries(root, file))
    while waiting:
        name, value, place = waiting.pop(0)
        group = found.group(name, place)
        keys = _mapping(found, value, place, f"group {name}")
        for key, inside, at in _entries(keys, file):
            match key:
                case "hosts":
                    _hosts(found, file, group, inside, at)
                case "children":
                    children = list(_entries(_mapping(found, inside, at, "children"), file))
                    group.children |= {child: there for child, _value, there in children}
                    waiting += children
                case "vars":
                    group.variables |= _variables(_mapping(found, inside, at, "vars"), file)
                case _:
                    known = f"{did_you_mean(key, _KEYS)}; a group has {', '.join(_KEYS)}"
                    found.problems.append(at.problem(ProblemCode.UNKNOWN_KEY, f"unknown key {quoted(key)}{known}"))


def _hosts(found: Inventory, file: str, group: Group, value: Value, place: SourceLocation) -> None:
    hosts = _entries(_mapping(found, value, place, "hosts"), file)
    for pattern, keys, at in [(value, None, place)] if isinstance(value, str) else hosts:
        variables = _variables(_mapping(found, keys, at, f"host {pattern}"), file)
        bare, colon, port = pattern.rpartition(":")
        if colon and port.isdecimal():
            variables.setdefault("ansible_port", Variable(port, at))
        else:
            bare = pattern
        try:
            names = expand(bare)
        except InvalidValueError as why:
            found.problems.append(at.problem(why.code, str(why)))
            continue
        for name in names:
            group.hosts.setdefault(name, at)
            found.hosts.setdefault(name, {}).update(variables)


def _variables(keys: Mapping, file: str) -> Variables:
    return {
        name: Variable(value if isinstance(value, str) else None, _at(file, keys.values_at[name]))
        for name, value in keys.items()
    }


def _entries(keys: Mapping, file: str) -> Iterator[tuple[str, Value, SourceLocation]]:
    return ((name, value, _at(file, keys.keys_at[name])) for name, value in keys.items())


def _mapping(found: Inventory, value: Value, place: SourceLocation, what: str) -> Mapping:
    if isinstance(value, Mapping):
        return value
    if value is not None and not (what == "hosts" and isinstance(value, str)):
        told = f"{what} takes names with a colon behind each, not a list or a word"
        found.problems.append(place.problem(ProblemCode.WRONG_TYPE, told))
    return Mapping()


def _at(file: str, mark: Position) -> SourceLocation:
    return SourceLocation(file, *mark)
