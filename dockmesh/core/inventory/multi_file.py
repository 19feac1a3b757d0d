"""Inventories of several files: their merged keys, their duplicates and the location of a path."""

from collections.abc import Iterator, Sequence
from typing import Any

from dockmesh.core.inventory.schema import InventoryKeys
from dockmesh.core.inventory.yaml_document import Document, Path
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import Problem

_SECTIONS = ("mesh", "connection")


def merge_documents(documents: Sequence[Document], keys: Sequence[InventoryKeys]) -> InventoryKeys:
    """Merge the keys of all documents; the first document that has a section or a host wins."""
    sections: dict[str, Any] = {}
    hosts: dict[str, Any] = {}
    for document, inventory in zip(documents, keys, strict=True):
        for section in _SECTIONS:
            if section in document.root:
                sections.setdefault(section, getattr(inventory, section))
        for name, host in inventory.hosts.items():
            hosts.setdefault(name, host)
    return InventoryKeys.model_construct(hosts=hosts, **sections)


def duplicates(documents: Sequence[Document], keys: Sequence[InventoryKeys]) -> Iterator[Problem]:
    """Hosts that are in more than one file and sections that differ between files, with both locations."""
    first: dict[Path, tuple[Document, Any]] = {}
    for document, inventory in zip(documents, keys, strict=True):
        values: dict[Path, Any] = {(name,): getattr(inventory, name) for name in _SECTIONS if name in document.root}
        values |= {("hosts", name): None for name in inventory.hosts}
        for path, value in values.items():
            where, before = first.setdefault(path, (document, value))
            elsewhere = location(where, path, at_key=True)
            if where is not document and path[0] == "hosts":
                message = f"host {path[-1]} is already in {elsewhere}. Fix: remove one of the two"
                yield document.problem(path, ProblemCode.DUPLICATE, message, at_key=True)
            elif before != value:
                message = f"{path[-1]} differs from {elsewhere}. Fix: keep it in one file only"
                yield document.problem(path, ProblemCode.CONTRADICTION, message, at_key=True)


def document_with(documents: Sequence[Document], path: Path) -> Document:
    """The document that contains the path, or the longest beginning of it; the first one where several do."""
    return max(documents, key=lambda document: _depth(document, path))


def location(document: Document, path: Path, *, at_key: bool = False) -> str:
    """`FILE:LINE:COLUMN` of a path."""
    line, column = document.place(path, at_key=at_key)
    return f"{document.file}:{line}:{column}"


def _depth(document: Document, path: Path) -> int:
    """Number of parts of the path that exist; two suffice, since a host or a section is never split over files."""
    node: Any = document.root
    for depth, part in enumerate(path[:2]):
        if not isinstance(node, dict) or part not in node:
            return depth
        node = node[part]
    return len(path[:2])
