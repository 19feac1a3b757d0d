"""Reports read back by those they are for: a schema, a parser of another's, a browser's view of a page."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import xmlschema
from markdown_it import MarkdownIt
from markdown_it.token import Token
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_SCHEMA = xmlschema.XMLSchema(str(Path(__file__).parent / "data" / "junit" / "junit-10.xsd"))


def junit(text: str) -> ET.Element:
    """The root of a JUnit report, which is valid by the schema of Jenkins."""
    _SCHEMA.validate(text)
    return ET.fromstring(text)  # noqa: S314 - it is our own


def cases(root: ET.Element) -> dict[str, ET.Element]:
    """Its cases by name."""
    return {case.attrib["name"]: case for case in root.iter("testcase")}


def gauges(text: str) -> dict[str, Metric]:
    """The metrics by name."""
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family: Metric, *labels: str) -> dict[tuple[str, ...], float]:
    """What a metric's samples say, by these labels."""
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in family.samples}


def tokens(markdown: str) -> list[Token]:
    """As CommonMark has it, with tables."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)


def visible_text(markdown: str) -> str:
    """What people see of it, without the form."""
    return "\n".join(
        "".join(child.content for child in token.children or ()) for token in tokens(markdown) if token.type == "inline"
    )


class Page(HTMLParser):
    """A page taken apart: its elements, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.within: list[str] = []
        self.verdict, self.title = "", ""
        self._into: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self.within.append("")
        if tag == "title" or "verdict" in (dict(attrs).get("class") or "").split():
            self._into = "title" if tag == "title" else "verdict"

    def handle_endtag(self, tag: str) -> None:
        if tag in {"title", "p"}:
            self._into = None

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.within[-1] += data
        elif self._into == "title":
            self.title += data
        elif self._into == "verdict":
            self.verdict += data

    @property
    def good(self) -> bool:
        """Whether the verdict at its head is a good one, by its class."""
        (classes,) = (
            (attrs["class"] or "").split() for _tag, attrs in self.elements if "verdict" in (attrs.get("class") or "")
        )
        assert len({"good", "bad"} & set(classes)) == 1
        return "good" in classes

    @property
    def data(self) -> dict[str, Any]:
        """What the page draws."""
        _style, data, _script = self.within
        read: dict[str, Any] = json.loads(data)
        return read
