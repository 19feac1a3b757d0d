"""The JSON document of proposed hosts."""

from collections.abc import Iterable
from typing import Any

from dockmesh.core.onboarding.propose import ProposedHost

INIT = "dockmesh/init/1"


def init_document(proposed: Iterable[ProposedHost], *, file: str) -> dict[str, Any]:
    """The hosts of the new inventory. `error`: why the inventory lacks a host."""
    return {"format": INIT, "file": file, "hosts": [_proposed(each) for each in proposed]}


def _proposed(each: ProposedHost) -> dict[str, Any]:
    host = each.host
    return {
        "host": each.name,
        "underlay": str(host.underlay) if host else None,
        "prefix": str(host.prefix) if host and host.prefix else None,
        "bridge": str(host.bridge) if host and host.bridge else None,
        "docker": host.docker if host else None,
        "keeps_docker0": each.keeps_docker0,
        "error": each.why,
    }
