"""An inventory in several files: what each says, taken together, and in which of them something stands."""

from collections.abc import Iterator, Sequence
from typing import Any

from dockmesh.core.inventory.schema import InventoryKeys
from dockmesh.core.inventory.yaml_document import Document, Path
from dockmesh.error_codes import ProblemCode
from dockmesh.errors import Problem

_SECTIONS = ("mesh", "connection")


def merge_documents(documents: Sequence[Document], keys: Sequence[InventoryKeys]) -> InventoryKeys:
    """The keys of all; what stands in two of them is that of the first."""
    sections: dict[str, Any] = {}
    hosts: dict[str, Any] = {}
    for document, its in zip(documents, keys, strict=True):
        for section in _SECTIONS:
            if section in document.root:
                sections.setdefault(section, getattr(its, section))
        for name, host in its.hosts.items():
            hosts.setdefault(name, host)
    return InventoryKeys.model_construct(hosts=hosts, **sections)


def duplicates(documents: Sequence[Document], keys: Sequence[InventoryKeys]) -> Iterator[Problem]:
    """Hosts in more than one file, and sections that say something else in each; both places are named."""
    first: dict[Path, tuple[Document, Any]] = {}
    for document, its in zip(documents, keys, strict=True):
        said: dict[Path, Any] = {(part,): getattr(its, part) for part in _SECTIONS if part in document.root}
        said |= {("hosts", name): None for name in its.hosts}
        for path, value in said.items():
            where, before = first.setdefault(path, (document, value))
            if where is not document and path[0] == "hosts":
                twice = f"host {path[-1]} stands in {location(where, path, at_key=True)} already"
                yield document.problem(path, ProblemCode.DUPLICATE, twice, at_key=True)
            elif before != value:
                elsewhere = location(where, path, at_key=True)
                other = f"{path[-1]} says something else in {elsewhere}: write it in one of the files"
                yield document.problem(path, ProblemCode.CONTRADICTION, other, at_key=True)


def document_with(documents: Sequence[Document], path: Path) -> Document:
    """The first of the documents that has most of what `path` leads to."""
    return max(documents, key=lambda document: _depth(document, path))


def location(document: Document, path: Path, *, at_key: bool = False) -> str:
    """Where that stands, as in a message."""
    line, column = document.place(path, at_key=at_key)
    return f"{document.file}:{line}:{column}"


def _depth(document: Document, path: Path) -> int:
    """How far `path` can be followed: to the host or the section, what is in it being all in one file."""
    node: Any = document.root
    for depth, part in enumerate(path[:2]):
        if not isinstance(node, dict) or part not in node:
            return depth
        node = node[part]
    return len(path[:2])
