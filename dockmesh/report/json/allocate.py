"""The JSON document of allocated prefixes."""

from collections.abc import Iterable
from typing import Any

from dockmesh.core.allocation.prefixes import Allocation

ALLOCATE = "dockmesh/allocate/1"


def allocate_document(allocations: Iterable[Allocation], *, written: bool) -> dict[str, Any]:
    """The allocated prefixes. `written`: whether the inventory file contains them now."""
    return {
        "format": ALLOCATE,
        "written": written,
        "allocations": [{"host": each.host, "prefix": str(each.prefix)} for each in allocations],
    }
