"""Parser of Ansible's INI format: sections of hosts, child groups and variables, one per line."""

import re
import shlex
from collections.abc import Callable

from dockmesh.core.onboarding.ansible_groups import ALL, UNGROUPED, Inventory, Variable, Variables
from dockmesh.core.onboarding.ansible_ranges import expand
from dockmesh.core.onboarding.candidates import SourceLocation
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

_SECTION = re.compile(r"\[(?P<group>[^:\]\s]+)(?::(?P<kind>\w+))?\]\s*(?:[#;].*)?")
_HOST = re.compile(r"(?P<pattern>(?:\[[^\]]*\]|[^:\[\]])+)(?::(?P<port>[0-9]+))?")
_ASSIGNED = re.compile(r"(?P<name>\w+)=(?P<value>.*)", re.DOTALL)


def parse(text: str, *, file: str) -> Inventory:
    """Parse the text; the inventory that it returns has the problems of the text."""
    reader = _Reader(file)
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        reader.take(line, number)
    return reader.finished()


class _Reader:
    """Reader of one file, line by line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._inventory = Inventory()
        self._group, self._kind = UNGROUPED, "hosts"
        # Kept apart until the end: the group of a section of variables may be defined later, or never.
        self._variables: dict[str, tuple[SourceLocation, Variables]] = {}
        self._kinds: dict[str, Callable[[str, SourceLocation], None]] = {
            "hosts": self._host,
            "children": self._child,
            "vars": self._variable,
        }

    def take(self, line: str, number: int) -> None:
        place = SourceLocation(self._file, number, len(line) - len(line.lstrip()) + 1)
        line = line.strip()
        if not line or line[0] in "#;":
            return
        try:
            if line.startswith("["):
                self._section(line, place)
            else:
                self._kinds[self._kind](line, place)
        except InvalidValueError as why:
            self._inventory.problems.append(place.problem(why.code, str(why)))

    def finished(self) -> Inventory:
        groups = self._inventory.groups
        for name, (place, variables) in self._variables.items():
            if name in groups or name in {ALL, UNGROUPED}:
                self._inventory.group(name, place).variables |= variables
            else:
                message = f"there is no group {quoted(name)}{did_you_mean(name, groups)}"
                self._inventory.problems.append(place.problem(ProblemCode.UNKNOWN_GROUP, message))
        return self._inventory

    def _section(self, line: str, place: SourceLocation) -> None:
        parts = _SECTION.fullmatch(line)
        if not parts:
            raise InvalidValueError(
                ProblemCode.BAD_SECTION,
                f"{quoted(line)} is not a section. Fix: write [group], [group:children] or [group:vars]",
            )
        self._group, self._kind = parts["group"], parts["kind"] or "hosts"
        if self._kind not in self._kinds:
            kind, self._kind = self._kind, "hosts"
            raise InvalidValueError(
                ProblemCode.UNKNOWN_SECTION, f"unknown kind of section {quoted(kind)}{did_you_mean(kind, self._kinds)}"
            )
        if self._kind == "vars":
            self._variables.setdefault(self._group, (place, {}))
        else:
            self._inventory.group(self._group, place)

    def _host(self, line: str, place: SourceLocation) -> None:
        first, *rest = _words(line)
        parts = _HOST.fullmatch(first)
        if not parts:
            raise InvalidValueError(
                ProblemCode.BAD_HOST,
                f"{quoted(first)} is not a host. Fix: write NAME or NAME:PORT, with a host name or an IPv4 address",
            )
        variables = dict(map(_assignment, rest))
        if parts["port"]:
            variables.setdefault("ansible_port", parts["port"])
        group = self._inventory.group(self._group, place)
        for name in expand(parts["pattern"]):
            group.hosts.setdefault(name, place)
            own = self._inventory.hosts.setdefault(name, {})
            own |= {key: Variable(value, place) for key, value in variables.items()}

    def _child(self, line: str, place: SourceLocation) -> None:
        name, *rest = _words(line)
        if rest:
            raise InvalidValueError(
                ProblemCode.BAD_CHILD, f"unexpected {quoted(rest[0])}. Fix: write one group per line of children"
            )
        self._inventory.group(self._group, place).children.setdefault(name, place)

    def _variable(self, line: str, place: SourceLocation) -> None:
        name, equals, value = line.partition("=")
        if not equals:
            raise InvalidValueError(
                ProblemCode.BAD_VARIABLE, f"{quoted(line)} does not set a variable. Fix: write NAME=VALUE"
            )
        self._variables[self._group][1][name.strip()] = Variable(_unquoted(value.strip()), place)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as why:
        raise InvalidValueError(ProblemCode.SYNTAX, f"{quoted(line)}: {str(why).lower()}") from None


def _assignment(word: str) -> tuple[str, str]:
    parts = _ASSIGNED.fullmatch(word)
    if not parts:
        raise InvalidValueError(
            ProblemCode.BAD_VARIABLE,
            f"{quoted(word)} does not set a variable. Fix: write NAME=VALUE after the host, without spaces around =",
        )
    return parts["name"], _unquoted(parts["value"])


def _unquoted(value: str) -> str:
    """A value without its surrounding quotes."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
