"""Ansible's groups, hosts and variables, from either of its formats; and the hosts that come of them.

As Ansible has it: a host has the variables of all its groups; a group nearer to it goes before one that is further
away, of two as near the later name goes before, and what is said of the host itself goes before all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dockmesh.core.inventory import scalars
from dockmesh.core.onboarding.candidates import Candidate, SourceLocation, Value, host_name, parse_value
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError, InventoryError, Problem

ALL: Final = "all"
UNGROUPED: Final = "ungrouped"
_IMPLIED: Final = (ALL, UNGROUPED)
_KEYS: Final = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "identity_file": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
}
_JUMP = re.compile(r"(?:-J\s*|-o\s*[\"']?ProxyJump[= ]\s*)([^\s\"']+)")
_ARGUMENTS: Final = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
_SSH: Final = ("ssh", "paramiko", "paramiko_ssh", "smart", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh")
_TRUE: Final = ("true", "yes", "on", "1", "y", "t")
_FALSE: Final = ("false", "no", "off", "0", "n", "f")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable's text, and where it stands. None is what has no text: a list, say, which nothing here reads."""

    text: str | None
    place: SourceLocation


Variables = dict[str, Variable]


@dataclass(slots=True)
class Group:
    """A group as it is written: `hosts` and `children` by name, with the places where they are said to be in it."""

    place: SourceLocation
    hosts: dict[str, SourceLocation] = field(default_factory=dict)
    children: dict[str, SourceLocation] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)


@dataclass(slots=True)
class Inventory:
    """What an Ansible inventory says. `hosts` are the variables of each, by name."""

    hosts: dict[str, Variables] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def group(self, name: str, place: SourceLocation) -> Group:
        """The group of that name, new if need be."""
        return self.groups.setdefault(name, Group(place))


def candidates(inventory: Inventory) -> list[Candidate]:
    """The hosts, in the file's order.

    Raises:
        InventoryError: all that is wrong, in the file's order.
    """
    problems = [*inventory.problems]
    if astray := list(_astray(inventory)):
        raise InventoryError(_sorted([*problems, *astray]))
    above = _above(inventory)
    found: list[Candidate] = []
    for name, own in inventory.hosts.items():
        groups = _around(inventory, name, above)
        variables = {**_shared(inventory, groups), **own}
        found.extend(_candidate(name, variables, _place(inventory, name), groups, problems))
    if problems:
        raise InventoryError(_sorted(problems))
    return found


def _candidate(
    name: str, variables: Variables, place: SourceLocation, groups: list[str], problems: list[Problem]
) -> Iterator[Candidate]:
    keys: dict[str, Value] = {}
    before = len(problems)
    for key, value, where in _texts(name, variables, place, problems):
        try:
            keys[key] = parse_value(key, value)
        except InvalidValueError as why:
            problems.append(where.problem(why.code, f"{key.replace('_', ' ')} {why}"))
    keys |= _become(variables, problems)
    tags = [group for group in groups if group not in _IMPLIED]
    problems += (
        place.problem(ProblemCode.BAD_TAG, f"group {quoted(tag)} makes no tag: letters, digits, '_', '.' and '-'")
        for tag in tags
        if not re.fullmatch(scalars.TAG, tag)
    )
    try:
        here = host_name(name)
    except InvalidValueError as why:
        problems.append(place.problem(why.code, f"host name {why}"))
        return
    if len(problems) == before:
        yield Candidate(here, str(keys.pop("address")), place, keys, tuple(sorted(tags)), _apart(variables))


def _texts(
    name: str, variables: Variables, place: SourceLocation, problems: list[Problem]
) -> Iterator[tuple[str, str, SourceLocation]]:
    """The keys that variables have something to say of, in words of theirs; the host's name where no address is."""
    if not _known(variables, ("ansible_host", "ansible_ssh_host")):
        yield "address", name, place
    for key, words in _KEYS.items():
        if variable := _known(variables, words):
            if variable.text is None or "{{" in variable.text:
                told = f"{words[0]} is filled in by Ansible alone: write its value"
                problems.append(variable.place.problem(ProblemCode.TEMPLATED_VALUE, told))
            else:
                yield key, variable.text, variable.place
    for word in _ARGUMENTS:
        if (variable := variables.get(word)) and (jump := _JUMP.search(variable.text or "")):
            yield "jump", jump[1], variable.place


def _apart(variables: Variables) -> str | None:
    connection = variables.get("ansible_connection")
    if connection is None or connection.text in _SSH:
        return None
    return f"Ansible reaches it by {quoted(connection.text or '')}, dockmesh by SSH alone"


def _become(variables: Variables, problems: list[Problem]) -> dict[str, Value]:
    become = variables.get("ansible_become")
    if become is None:
        return {}
    truth = (become.text or "").lower()
    if truth not in (*_TRUE, *_FALSE):
        told = f"ansible_become {quoted(become.text or '')} is neither true nor false"
        problems.append(become.place.problem(ProblemCode.NOT_A_BOOLEAN, told))
    if truth not in _TRUE:
        return {"become": "none"}
    for word, known in (
        ("ansible_become_method", ("sudo", "ansible.builtin.sudo")),
        ("ansible_become_user", ("root",)),
    ):
        variable = variables.get(word)
        if variable and variable.text not in known:
            told = f"{word} {quoted(variable.text or '')}: dockmesh becomes root by sudo, and nobody else"
            problems.append(variable.place.problem(ProblemCode.UNSUPPORTED_BECOME, told))
    return {"become": "sudo"}


def _known(variables: Variables, words: tuple[str, ...]) -> Variable | None:
    return next((variables[word] for word in words if word in variables), None)


def _place(inventory: Inventory, host: str) -> SourceLocation:
    return next(group.hosts[host] for group in inventory.groups.values() if host in group.hosts)


def _shared(inventory: Inventory, groups: list[str]) -> Variables:
    found: Variables = {}
    for name in groups:
        if name in inventory.groups:
            found |= inventory.groups[name].variables
    return found


def _above(inventory: Inventory) -> Mapping[str, list[str]]:
    """The groups each group is a child of."""
    above: dict[str, list[str]] = {name: [] for name in inventory.groups}
    for name, group in inventory.groups.items():
        for child in group.children:
            above[child].append(name)
    return above


def _around(inventory: Inventory, host: str, above: Mapping[str, list[str]]) -> list[str]:
    """The groups of a host, the widest first."""
    depths: dict[str, int] = {}
    level = {name for name, group in inventory.groups.items() if host in group.hosts}
    around = set(level)
    while level:
        level = {parent for name in level for parent in above[name]} - around
        around |= level
    return sorted(around | {ALL}, key=lambda name: (_depth(name, above, depths), name))


def _depth(name: str, above: Mapping[str, list[str]], known: dict[str, int]) -> int:
    """How many groups the longest way from `all` to that one has."""
    if name == ALL:
        return 0
    if name not in known:
        known[name] = 1 + max((_depth(parent, above, known) for parent in above[name]), default=0)
    return known[name]


def _astray(inventory: Inventory) -> Iterator[Problem]:
    """Children that are no group, and those that would be in themselves."""
    for group in inventory.groups.values():
        for child, place in group.children.items():
            if child not in inventory.groups:
                told = f"there is no group {quoted(child)}{did_you_mean(child, inventory.groups)}"
                yield place.problem(ProblemCode.UNKNOWN_GROUP, told)
    for name, group in inventory.groups.items():
        below, level = set[str](), set(group.children)
        while level:
            below |= level
            level = {child for one in level if one in inventory.groups for child in inventory.groups[one].children}
            level -= below
        if name in below:
            yield group.place.problem(ProblemCode.CYCLE, f"group {quoted(name)} would be in itself")


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
