"""Error codes are stable words, and each is in use."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

import dockmesh
from dockmesh.error_codes import LabCode, ProblemCode, UsageCode

SOURCES = [file.read_text(encoding="utf-8") for file in Path(dockmesh.__file__).parent.rglob("*.py")]


@pytest.mark.parametrize("codes", [ProblemCode, UsageCode, LabCode])
def test_every_code_follows_from_its_name_and_is_in_use(codes: type[StrEnum]) -> None:
    code = "\n".join(SOURCES)
    for each in codes:
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", each.value)
        assert each.value.replace("-", "") == each.name.replace("_", "").lower()
    assert [each.name for each in codes if not re.search(rf"\b{codes.__name__}\.{each.name}\b", code)] == []
