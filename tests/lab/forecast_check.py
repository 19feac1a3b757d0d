"""Comparison of the forecast of `plan` with the probes of `status`."""

from collections.abc import Iterator
from typing import Any

from mesh import Mesh

Question = tuple[str, str, str]


def predicted(document: dict[str, Any], which: str) -> dict[Question, str]:
    """The forecast `before` or `after` the plan, of the probes that are not reached throughout."""
    return {
        (row["source"], target, row["kind"]): row[which]
        for turn in ("gained", "lost", "failing", "unknown")
        for row in document[turn]
        for target in row["targets"]
    }


def measured(status: dict[str, Any]) -> dict[Question, str]:
    """Whether each probe of IPv4 received a reply from the right host."""
    return {
        (each["source"], each["target"], each["kind"]): "reached"
        if each["reached"] and each["ttl"] == each["expected_ttl"]
        else "failing"
        for each in status["probes"]
        if each["family"] == 4
    }


def probes_with(host: str, status: dict[str, Any]) -> dict[str, Any]:
    """The probes from and to a host, of a status of all hosts."""
    return {"probes": [each for each in status["probes"] if host in {each["source"], each["target"]}]}


def mismatches(document: dict[str, Any], which: str, status: dict[str, Any]) -> Iterator[tuple[Question, str, str]]:
    """The probes that differ from the forecast, and those without a forecast."""
    expected, found = predicted(document, which), measured(status)
    assert expected.keys() <= found.keys(), expected.keys() - found.keys()
    assert sum(document[which].values()) == len(found)
    for key, came in found.items():
        if expected.get(key, "reached") != came:
            yield key, expected.get(key, "reached"), came


def failing_as_predicted(mesh: Mesh, unknown: int = 0) -> set[Question]:
    """The probes that fail on the hosts as they are.

    Raises AssertionError if a probe differs from the forecast, or for another number without a forecast.
    """
    planned = mesh.dockmesh("plan", "--json", "--timeout", "10")
    probed = mesh.dockmesh("status", "--json", "--timeout", "10").document
    document = planned.document["forecast"]
    assert planned.status in ({3} if document["after"]["failing"] else {0, 2, 3}), planned
    differing = list(mismatches(document, "before", probed))
    assert [each for each in differing if each[1] != "unknown"] == [], (differing, document)
    open_ = [key for key, said in predicted(document, "before").items() if said == "unknown"]
    assert len(open_) == unknown, (open_, document)
    return {key for key, came in measured(probed).items() if came == "failing"}
