"""Types of a YAML document: raw text, with the position of every key and value."""

from dataclasses import dataclass
from typing import TypeAlias

from dockmesh.core.text import one_line
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import Problem

Position: TypeAlias = tuple[int, int]
Path: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = "str | Mapping | Sequence | None"


class Mapping(dict[str, "Value"]):
    """A mapping by the raw text of its keys. Positions are (line, column), counted from 1.

    `ends_at` has the position after a value, for values that are scalars or aliases and not merged. `flow` is True for
    a mapping in braces.
    """

    __slots__ = ("ends_at", "flow", "keys_at", "values_at")

    def __init__(self, *, flow: bool = False) -> None:
        super().__init__()
        self.flow = flow
        self.keys_at: dict[str, Position] = {}
        self.values_at: dict[str, Position] = {}
        self.ends_at: dict[str, Position] = {}

    def enter(
        self, key: str, value: Value, *, key_at: Position, value_at: Position, end_at: Position | None = None
    ) -> None:
        """Set a key with its positions."""
        self[key], self.keys_at[key], self.values_at[key] = value, key_at, value_at
        if end_at is not None:
            self.ends_at[key] = end_at

    def merge(self, other: "Mapping") -> None:
        """Add the keys of `other` that are missing here, as `<<` does."""
        for key, value in other.items():
            if key not in self:
                self.enter(key, value, key_at=other.keys_at[key], value_at=other.values_at[key])


class Sequence(list["Value"]):
    """A list with the positions of its items."""

    __slots__ = ("items_at",)

    def __init__(self) -> None:
        super().__init__()
        self.items_at: list[Position] = []


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose root is a mapping. `problems` are its YAML problems, such as duplicate keys and unknown tags."""

    file: str
    root: Mapping
    problems: tuple[Problem, ...]

    def problem(self, path: Path, code: ProblemCode, message: str, *, at_key: bool = False) -> Problem:
        """Create a problem at `place(path)`."""
        return Problem(self.file, *self.place(path, at_key=at_key), code, one_line(message))

    def place(self, path: Path, *, at_key: bool = False) -> Position:
        """Position of the value or key at `path`; if it is missing, of the key that should contain it."""
        node: Value = self.root
        key_at = value_at = (1, 1)
        for part in path:
            if isinstance(node, Mapping) and isinstance(part, str) and part in node:
                key_at, value_at, node = node.keys_at[part], node.values_at[part], node[part]
            elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node):
                key_at = value_at = node.items_at[part]
                node = node[part]
            else:
                return key_at
        return key_at if at_key else value_at
