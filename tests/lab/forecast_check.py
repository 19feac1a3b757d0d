"""What `plan` foresees held against what `status` measures at the same time, probe by probe."""

from collections.abc import Iterator
from typing import Any

from mesh import Mesh

Question = tuple[str, str, str]


def predicted(document: dict[str, Any], which: str) -> dict[Question, str]:
    """Of the probes that are not reached all along, what is foreseen of them `before` the plan, or `after` it."""
    return {
        (row["source"], target, row["kind"]): row[which]
        for turn in ("gained", "lost", "failing", "unknown")
        for row in document[turn]
        for target in row["targets"]
    }


def measured(status: dict[str, Any]) -> dict[Question, str]:
    """Of all probes of IPv4 whether the reply came from whom it should."""
    return {
        (each["source"], each["target"], each["kind"]): "reached"
        if each["reached"] and each["ttl"] == each["expected_ttl"]
        else "failing"
        for each in status["probes"]
        if each["family"] == 4
    }


def mismatches(document: dict[str, Any], which: str, status: dict[str, Any]) -> Iterator[tuple[Question, str, str]]:
    """The probes that fare otherwise than foreseen, and those of which nobody can say."""
    expected, found = predicted(document, which), measured(status)
    assert expected.keys() <= found.keys(), expected.keys() - found.keys()
    assert sum(document[which].values()) == len(found)
    for key, came in found.items():
        if expected.get(key, "reached") != came:
            yield key, expected.get(key, "reached"), came


def failing_as_predicted(mesh: Mesh, unknown: int = 0) -> set[Question]:
    """The probes that fail on the hosts as they are.

    Raises AssertionError where one fares otherwise than foreseen, or others than so many are not foreseen at all.
    """
    planned = mesh.dockmesh("plan", "--json", "--timeout", "10")
    probed = mesh.dockmesh("status", "--json", "--timeout", "10").document
    assert planned.status in {2, 3}, planned
    document = planned.document["forecast"]
    differing = list(mismatches(document, "before", probed))
    assert [each for each in differing if each[1] != "unknown"] == [], (differing, document)
    open_ = [key for key, said in predicted(document, "before").items() if said == "unknown"]
    assert len(open_) == unknown, (open_, document)
    return {key for key, came in measured(probed).items() if came == "failing"}
