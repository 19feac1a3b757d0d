"""Ansible's INI format: sections of hosts, of children and of variables, a line for each."""

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
    """What the text says; what is wrong with it is among its problems."""
    reader = _Reader(file)
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        reader.take(line, number)
    return reader.finished()


class _Reader:
    """Takes a file line by line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found = Inventory()
        self._group, self._kind = UNGROUPED, "hosts"
        # Of groups that may come below, or not at all.
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
            self._found.problems.append(place.problem(why.code, str(why)))

    def finished(self) -> Inventory:
        groups = self._found.groups
        for name, (place, variables) in self._variables.items():
            if name in groups or name in {ALL, UNGROUPED}:
                self._found.group(name, place).variables |= variables
            else:
                told = f"there is no group {quoted(name)}{did_you_mean(name, groups)}"
                self._found.problems.append(place.problem(ProblemCode.UNKNOWN_GROUP, told))
        return self._found

    def _section(self, line: str, place: SourceLocation) -> None:
        parts = _SECTION.fullmatch(line)
        if not parts:
            raise InvalidValueError(
                ProblemCode.BAD_SECTION,
                f"{quoted(line)} is no section: write it as [group], [group:children] or [group:vars]",
            )
        self._group, self._kind = parts["group"], parts["kind"] or "hosts"
        if self._kind not in self._kinds:
            kind, self._kind = self._kind, "hosts"
            raise InvalidValueError(
                ProblemCode.UNKNOWN_SECTION, f"{quoted(kind)} is no kind of section{did_you_mean(kind, self._kinds)}"
            )
        if self._kind == "vars":
            self._variables.setdefault(self._group, (place, {}))
        else:
            self._found.group(self._group, place)

    def _host(self, line: str, place: SourceLocation) -> None:
        first, *rest = _words(line)
        parts = _HOST.fullmatch(first)
        if not parts:
            raise InvalidValueError(
                ProblemCode.BAD_HOST, f"{quoted(first)} is no host: write NAME or NAME:PORT, IPv4 or a name"
            )
        variables = dict(map(_assigned, rest))
        if parts["port"]:
            variables.setdefault("ansible_port", parts["port"])
        group = self._found.group(self._group, place)
        for name in expand(parts["pattern"]):
            group.hosts.setdefault(name, place)
            own = self._found.hosts.setdefault(name, {})
            own |= {key: Variable(value, place) for key, value in variables.items()}

    def _child(self, line: str, place: SourceLocation) -> None:
        name, *rest = _words(line)
        if rest:
            raise InvalidValueError(
                ProblemCode.BAD_CHILD, f"{quoted(rest[0])}: a line of children is the name of one group"
            )
        self._found.group(self._group, place).children.setdefault(name, place)

    def _variable(self, line: str, place: SourceLocation) -> None:
        name, equals, value = line.partition("=")
        if not equals:
            raise InvalidValueError(ProblemCode.BAD_VARIABLE, f"{quoted(line)} sets no variable: write NAME=VALUE")
        self._variables[self._group][1][name.strip()] = Variable(_bare(value.strip()), place)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as why:
        raise InvalidValueError(ProblemCode.SYNTAX, f"{quoted(line)} cannot be read: {str(why).lower()}") from None


def _assigned(word: str) -> tuple[str, str]:
    parts = _ASSIGNED.fullmatch(word)
    if not parts:
        raise InvalidValueError(
            ProblemCode.BAD_VARIABLE,
            f"{quoted(word)} sets no variable: behind a host stand NAME=VALUE, without blanks around =",
        )
    return parts["name"], _bare(parts["value"])


def _bare(value: str) -> str:
    """A value without the quotes around it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
