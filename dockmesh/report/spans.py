"""Rows that are alike, in words."""

from collections.abc import Collection

from dockmesh.core.results.group import RowGroup, culprit_counts, group_rows
from dockmesh.core.results.model import ResultRow
from dockmesh.core.text import listed

_NAMED = 6
_MOST = 3


def pair_text(span: RowGroup) -> str:
    """From whom to whom."""
    return f"{listed(span.sources, _NAMED)} → {listed(span.targets, _NAMED)}"


def rows_text(rows: Collection[ResultRow]) -> str:
    """From whom to whom and which probes; where that is a long story, the hosts that they have in common."""
    found = list(group_rows(rows))
    if len(found) > _MOST:
        return f"from or to {listed(list(culprit_counts(rows)), _NAMED)}"
    return "; ".join(f"{pair_text(span)} ({', '.join(span.kinds)})" for span in found)
