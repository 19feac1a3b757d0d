"""Codes that scripts rely on: each follows from its enum name and is in use."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

import dockmesh
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check
from dockmesh.core.netfilter.verdicts import ReasonCode
from dockmesh.core.results.model import FailureCode, FailureKind
from dockmesh.core.trace.verdict import VerdictCode

SOURCE = "".join(file.read_text(encoding="utf-8") for file in Path(dockmesh.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("codes", [FailureCode, FailureKind, FaultCode, Check, VerdictCode, ReasonCode])
def test_codes_are_short_words_and_in_use(codes: type[StrEnum]) -> None:
    assert all(re.fullmatch("[a-z0-9-]{1,40}", each) for each in codes)
    assert [each.name.lower().replace("_", "-") for each in codes] == list(codes)
    assert [each for each in codes if f"{codes.__name__}.{each.name}" not in SOURCE] == []
