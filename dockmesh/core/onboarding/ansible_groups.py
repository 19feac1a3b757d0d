"""Ansible's groups, hosts and variables, and their conversion into candidates.

The precedence is Ansible's: a host has the variables of all its groups. A nearer group overrides a farther one. Of two
groups at the same depth, the later name overrides. The host's own variables override those of all groups.
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
    """The text of a variable with its location. `text` is None for a list or a mapping, which dockmesh never needs."""

    text: str | None
    place: SourceLocation


Variables = dict[str, Variable]


@dataclass(slots=True)
class Group:
    """A group, with the names and locations of its hosts and child groups."""

    place: SourceLocation
    hosts: dict[str, SourceLocation] = field(default_factory=dict)
    children: dict[str, SourceLocation] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)


@dataclass(slots=True)
class Inventory:
    """A parsed Ansible inventory. `hosts` has the variables of each host, by name."""

    hosts: dict[str, Variables] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def group(self, name: str, place: SourceLocation) -> Group:
        """The group of that name; creates it if it is missing."""
        return self.groups.setdefault(name, Group(place))


def candidates(inventory: Inventory) -> list[Candidate]:
    """Convert the hosts into candidates, in the order of the file.

    Raises:
        InventoryError: every problem, in the order of the file.
    """
    problems = [*inventory.problems]
    if group_problems := list(_group_problems(inventory)):
        raise InventoryError(_sorted([*problems, *group_problems]))
    parents = _parents(inventory)
    hosts: list[Candidate] = []
    for name, own in inventory.hosts.items():
        groups = _groups_of(inventory, name, parents)
        variables = {**_group_variables(inventory, groups), **own}
        hosts.extend(_candidate(name, variables, _place(inventory, name), groups, problems))
    if problems:
        raise InventoryError(_sorted(problems))
    return hosts


def _candidate(
    name: str, variables: Variables, place: SourceLocation, groups: list[str], problems: list[Problem]
) -> Iterator[Candidate]:
    keys: dict[str, Value] = {}
    before = len(problems)
    for key, value, where in _connection_texts(name, variables, place, problems):
        try:
            keys[key] = parse_value(key, value)
        except InvalidValueError as why:
            problems.append(where.problem(why.code, f"{key.replace('_', ' ')} {why}"))
    keys |= _become(variables, problems)
    tags = [group for group in groups if group not in _IMPLIED]
    problems += (
        place.problem(
            ProblemCode.BAD_TAG, f"group {quoted(tag)} cannot become a tag: use letters, digits, '_', '.' and '-'"
        )
        for tag in tags
        if not re.fullmatch(scalars.TAG, tag)
    )
    try:
        candidate_name = host_name(name)
    except InvalidValueError as why:
        problems.append(place.problem(why.code, f"host name {why}"))
        return
    if len(problems) == before:
        yield Candidate(
            candidate_name, str(keys.pop("address")), place, keys, tuple(sorted(tags)), _excluded(variables)
        )


def _connection_texts(
    name: str, variables: Variables, place: SourceLocation, problems: list[Problem]
) -> Iterator[tuple[str, str, SourceLocation]]:
    """Key, text and location of each connection setting. The host's name is the address if no variable sets it."""
    if not _first_set(variables, ("ansible_host", "ansible_ssh_host")):
        yield "address", name, place
    for key, words in _KEYS.items():
        if variable := _first_set(variables, words):
            if variable.text is None or "{{" in variable.text:
                message = f"only Ansible can evaluate the template in {words[0]}. Fix: replace it with its value"
                problems.append(variable.place.problem(ProblemCode.TEMPLATED_VALUE, message))
            else:
                yield key, variable.text, variable.place
    for word in _ARGUMENTS:
        if (variable := variables.get(word)) and (jump := _JUMP.search(variable.text or "")):
            yield "jump", jump[1], variable.place


def _excluded(variables: Variables) -> str | None:
    connection = variables.get("ansible_connection")
    if connection is None or connection.text in _SSH:
        return None
    return f"Ansible connects to it with {quoted(connection.text or '')}, but dockmesh needs SSH"


def _become(variables: Variables, problems: list[Problem]) -> dict[str, Value]:
    become = variables.get("ansible_become")
    if become is None:
        return {}
    value = (become.text or "").lower()
    if value not in (*_TRUE, *_FALSE):
        message = f"ansible_become {quoted(become.text or '')} is not a boolean. Fix: use true or false"
        problems.append(become.place.problem(ProblemCode.NOT_A_BOOLEAN, message))
    if value not in _TRUE:
        return {"become": "none"}
    for word, known in (
        ("ansible_become_method", ("sudo", "ansible.builtin.sudo")),
        ("ansible_become_user", ("root",)),
    ):
        variable = variables.get(word)
        if variable and variable.text not in known:
            message = f"{word} {quoted(variable.text or '')} is not supported: dockmesh only becomes root, with sudo"
            problems.append(variable.place.problem(ProblemCode.UNSUPPORTED_BECOME, message))
    return {"become": "sudo"}


def _first_set(variables: Variables, words: tuple[str, ...]) -> Variable | None:
    return next((variables[word] for word in words if word in variables), None)


def _place(inventory: Inventory, host: str) -> SourceLocation:
    return next(group.hosts[host] for group in inventory.groups.values() if host in group.hosts)


def _group_variables(inventory: Inventory, groups: list[str]) -> Variables:
    variables: Variables = {}
    for name in groups:
        if name in inventory.groups:
            variables |= inventory.groups[name].variables
    return variables


def _parents(inventory: Inventory) -> Mapping[str, list[str]]:
    """The parent groups of each group."""
    parents: dict[str, list[str]] = {name: [] for name in inventory.groups}
    for name, group in inventory.groups.items():
        for child in group.children:
            parents[child].append(name)
    return parents


def _groups_of(inventory: Inventory, host: str, parents: Mapping[str, list[str]]) -> list[str]:
    """The groups of a host, the least deep first, so that later ones override."""
    depths: dict[str, int] = {}
    level = {name for name, group in inventory.groups.items() if host in group.hosts}
    groups = set(level)
    while level:
        level = {parent for name in level for parent in parents[name]} - groups
        groups |= level
    return sorted(groups | {ALL}, key=lambda name: (_depth(name, parents, depths), name))


def _depth(name: str, parents: Mapping[str, list[str]], known: dict[str, int]) -> int:
    """Length of the longest path from `all` to the group."""
    if name == ALL:
        return 0
    if name not in known:
        known[name] = 1 + max((_depth(parent, parents, known) for parent in parents[name]), default=0)
    return known[name]


def _group_problems(inventory: Inventory) -> Iterator[Problem]:
    """Children that are not groups, and groups that contain themselves."""
    for group in inventory.groups.values():
        for child, place in group.children.items():
            if child not in inventory.groups:
                message = f"there is no group {quoted(child)}{did_you_mean(child, inventory.groups)}"
                yield place.problem(ProblemCode.UNKNOWN_GROUP, message)
    for name, group in inventory.groups.items():
        descendants, level = set[str](), set(group.children)
        while level:
            descendants |= level
            level = {child for one in level if one in inventory.groups for child in inventory.groups[one].children}
            level -= descendants
        if name in descendants:
            yield group.place.problem(ProblemCode.CYCLE, f"group {quoted(name)} contains itself")


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
