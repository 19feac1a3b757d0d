"""Parser of Ansible's YAML format: groups by name, each with `hosts`, `children` and `vars`."""

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
_EXPECTED: Final = "an Ansible inventory must be a mapping of groups, for example all: {hosts: {web1: }}"


def parse(text: str, *, file: str) -> Inventory:
    """Parse the text; the inventory that it returns has the problems of the text.

    Raises:
        InventoryError: the text is not YAML, or not a single mapping.
    """
    document = yaml_reader.read(text, file=file, keys=_EXPECTED, any_tag=True)
    inventory = Inventory(problems=list(document.problems))
    _groups(inventory, file, document.root)
    return inventory


def _groups(inventory: Inventory, file: str, root: Mapping) -> None:
    """Read all groups, without recursion."""
    waiting = list(_entries(root, file))
    while waiting:
        name, value, place = waiting.pop(0)
        group = inventory.group(name, place)
        keys = _mapping(inventory, value, place, f"group {name}")
        for key, inside, at in _entries(keys, file):
            match key:
                case "hosts":
                    _hosts(inventory, file, group, inside, at)
                case "children":
                    children = list(_entries(_mapping(inventory, inside, at, "children"), file))
                    group.children |= {child: location for child, _value, location in children}
                    waiting += children
                case "vars":
                    group.variables |= _variables(_mapping(inventory, inside, at, "vars"), file)
                case _:
                    known = f"{did_you_mean(key, _KEYS)}; the keys of a group are {', '.join(_KEYS)}"
                    inventory.problems.append(at.problem(ProblemCode.UNKNOWN_KEY, f"unknown key {quoted(key)}{known}"))


def _hosts(inventory: Inventory, file: str, group: Group, value: Value, place: SourceLocation) -> None:
    hosts = _entries(_mapping(inventory, value, place, "hosts"), file)
    for pattern, keys, at in [(value, None, place)] if isinstance(value, str) else hosts:
        variables = _variables(_mapping(inventory, keys, at, f"host {pattern}"), file)
        name_pattern, colon, port = pattern.rpartition(":")
        if colon and port.isdecimal():
            variables.setdefault("ansible_port", Variable(port, at))
        else:
            name_pattern = pattern
        try:
            names = expand(name_pattern)
        except InvalidValueError as why:
            inventory.problems.append(at.problem(why.code, str(why)))
            continue
        for name in names:
            group.hosts.setdefault(name, at)
            inventory.hosts.setdefault(name, {}).update(variables)


def _variables(keys: Mapping, file: str) -> Variables:
    return {
        name: Variable(value if isinstance(value, str) else None, _at(file, keys.values_at[name]))
        for name, value in keys.items()
    }


def _entries(keys: Mapping, file: str) -> Iterator[tuple[str, Value, SourceLocation]]:
    return ((name, value, _at(file, keys.keys_at[name])) for name, value in keys.items())


def _mapping(inventory: Inventory, value: Value, place: SourceLocation, what: str) -> Mapping:
    if isinstance(value, Mapping):
        return value
    if value is not None and not (what == "hosts" and isinstance(value, str)):
        message = f"{what} must be a mapping, with a colon after each name, not a list or a word"
        inventory.problems.append(place.problem(ProblemCode.WRONG_TYPE, message))
    return Mapping()


def _at(file: str, mark: Position) -> SourceLocation:
    return SourceLocation(file, *mark)
