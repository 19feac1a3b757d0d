"""Faults of an inventory: the type, and the check of a document against the schema."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from dockmesh.core.inventory.schema import ConnectionKeys, HostKeys, InventoryKeys, MeshKeys
from dockmesh.core.inventory.yaml_document import Path
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import InvalidValueError

_SECTIONS: Final[dict[str, type[BaseModel]]] = {"mesh": MeshKeys, "connection": ConnectionKeys}
_LISTS: Final = {"tags": "[rack1]", "allow": "[tcp/80, udp/53]"}


@dataclass(frozen=True, slots=True)
class Invalid:
    """A fault of the value at `path`, or of its key with `at_key`; `other` is the path of a value it conflicts with."""

    path: Path
    code: ProblemCode
    message: str
    at_key: bool = False
    other: Path | None = None


def check_schema(document: Mapping[str, object]) -> tuple[InventoryKeys, list[Invalid]]:
    """Validate a document: the keys that are valid, and a fault for every other one."""
    try:
        return InventoryKeys.model_validate(document), []
    except ValidationError as validation:
        faults = [_fault(error) for error in validation.errors(include_url=False)]
    readable = _without(document, (), invalid_paths(faults))
    return InventoryKeys.model_validate(readable), faults


def invalid_paths(faults: list[Invalid]) -> AbstractSet[Path]:
    """The paths of the keys that have faults: whole keys, not items in their values."""
    return {fault.path[: 3 if fault.path[0] == "hosts" else 2] for fault in faults}


def _without(node: object, path: Path, faulty: AbstractSet[Path]) -> object:
    if not isinstance(node, dict):
        return node
    return {key: _without(node[key], (*path, key), faulty) for key in node if (*path, key) not in faulty}


def _fault(error: Any) -> Invalid:
    path, kind = error["loc"], error["type"]
    if kind == "value_error":
        key = path[-1] if isinstance(path[-1], str) else path[-2]
        invalid: InvalidValueError = error["ctx"]["error"]
        return Invalid(path, invalid.code, f"{key} {invalid}")
    if kind == "extra_forbidden":
        return Invalid(path, ProblemCode.UNKNOWN_KEY, _unknown_key(path), at_key=True)
    empty = error["input"] is None
    code = ProblemCode.MISSING_VALUE if empty else ProblemCode.WRONG_TYPE
    return Invalid(path, code, _wrong_type(path, empty=empty), at_key=empty)


def _unknown_key(path: Path) -> str:
    key = str(path[-1])
    known = _model(path[:-1]).model_fields
    hint = did_you_mean(key, known)
    if not hint:
        home = next((name for name, model in _SECTIONS.items() if key in model.model_fields), None)
        hint = f". Fix: move it under {home}" if home else f"; the known keys are {', '.join(known)}"
    return f"unknown key {quoted(key)}{hint}"


def _wrong_type(path: Path, *, empty: bool) -> str:
    name = path[-1]
    if path == ("hosts",):
        return "hosts must be a mapping by host name, for example 'docker128: {address: 192.168.18.128}'"
    # A host may be called `tags` or `allow`.
    if name in _LISTS and path != ("hosts", name):
        if empty:
            return f"{name} has no value. Fix: add a value or remove the key"
        return f"{name} must be a list, for example {_LISTS[name]}"
    if empty:
        return f"host {name} is empty. Fix: add at least its address, for example address: 192.0.2.1"
    return f"{name} must be a mapping with the keys {', '.join(_model(path).model_fields)}"


def _model(path: Path) -> type[BaseModel]:
    if not path:
        return InventoryKeys
    return HostKeys if path[0] == "hosts" else _SECTIONS[str(path[0])]
