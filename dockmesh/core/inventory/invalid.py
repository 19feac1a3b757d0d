"""A document against the schema: every fault in words for people, and what could be read all the same."""

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
    """Something wrong with the value at `path`, or with its key. `other`: what it gets in the way of."""

    path: Path
    code: ProblemCode
    message: str
    at_key: bool = False
    other: Path | None = None


def check_schema(document: Mapping[str, object]) -> tuple[InventoryKeys, list[Invalid]]:
    """What of `document` could be read, and a fault for each of the rest."""
    try:
        return InventoryKeys.model_validate(document), []
    except ValidationError as error:
        faults = [_fault(one) for one in error.errors(include_url=False)]
    readable = _without(document, (), invalid_paths(faults))
    return InventoryKeys.model_validate(readable), faults


def invalid_paths(faults: list[Invalid]) -> AbstractSet[Path]:
    """The paths of the keys that have faults: whole keys, not items of theirs."""
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
    return Invalid(path, code, _wrong_kind(path, empty=empty), at_key=empty)


def _unknown_key(path: Path) -> str:
    key = str(path[-1])
    known = _model(path[:-1]).model_fields
    hint = did_you_mean(key, known)
    if not hint:
        home = next((name for name, model in _SECTIONS.items() if key in model.model_fields), None)
        hint = f"; it belongs under {home}" if home else f"; known here: {', '.join(known)}"
    return f"unknown key {quoted(key)}{hint}"


def _wrong_kind(path: Path, *, empty: bool) -> str:
    name = path[-1]
    if path == ("hosts",):
        return "hosts is a mapping by name, as in 'docker128: {address: 192.168.18.128}'"
    # A host may bear the name of a key.
    if name in _LISTS and path != ("hosts", name):
        return f"{name} {'has no value; write one or remove the key' if empty else f'is a list, as in {_LISTS[name]}'}"
    if empty:
        return f"host {name} is empty; it needs an address at least, as in address: 192.0.2.1"
    return f"{name} takes keys and values: {', '.join(_model(path).model_fields)}"


def _model(path: Path) -> type[BaseModel]:
    if not path:
        return InventoryKeys
    return HostKeys if path[0] == "hosts" else _SECTIONS[str(path[0])]
