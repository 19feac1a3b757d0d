"""Composer of YAML events into a document, without recursion and with limits on depth and on expanded aliases."""

from dataclasses import dataclass, field
from typing import Any, Final

from yaml import events as ev

from dockmesh.core.inventory.yaml_document import Mapping, Position, Sequence, Value
from dockmesh.core.text import quoted
from dockmesh.error_codes import ProblemCode

MAX_DEPTH: Final = 32
MAX_ALIASED: Final = 500_000
INVENTORY: Final = "an inventory must be a mapping with the keys mesh, connection and hosts"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_CORE: Final = "tag:yaml.org,2002:"
_TAGS: Final = {
    ev.ScalarEvent: {"!", *(_CORE + kind for kind in ("str", "int", "bool", "float", "null"))},
    ev.MappingStartEvent: {"!", _CORE + "map"},
    ev.SequenceStartEvent: {"!", _CORE + "seq"},
}


class StopError(Exception):
    """A fault after which the rest of the document cannot be interpreted."""

    def __init__(self, mark: Position, code: ProblemCode, why: str) -> None:
        self.fault = (mark, code, why)


@dataclass(slots=True)
class _Frame:
    """An open collection; `key` is the key whose value comes next."""

    container: Mapping | Sequence
    mark: Position
    anchor: str | None
    size_before: int
    key: str | None = None
    key_at: Position = (1, 1)
    merging: bool = False
    merges: list[Mapping] = field(default_factory=list)

    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.container, Mapping)


class Composer:
    """Composer of one document from its events; `faults` are those that do not stop it.

    Args:
        keys: the expected content, for messages (`an inventory must be a mapping with the keys ...`).
        any_tag: ignore unknown tags, which files of other tools may use.
    """

    def __init__(self, keys: str = INVENTORY, *, any_tag: bool = False) -> None:
        self._keys, self._any_tag = keys, any_tag
        self.faults: list[tuple[Position, ProblemCode, str]] = []
        self._root: Value = None
        self._root_at: Position = (1, 1)
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._documents = 0
        self._size = 0
        self._aliased = 0

    def take(self, event: ev.Event) -> None:
        """Process one event."""
        match event:
            case ev.ScalarEvent():
                self._scalar(event)
            case ev.MappingStartEvent():
                self._start(event, Mapping(flow=bool(event.flow_style)))
            case ev.SequenceStartEvent():
                self._start(event, Sequence())
            case ev.CollectionEndEvent():
                self._end()
            case ev.AliasEvent():
                self._alias(event)
            case ev.DocumentStartEvent():
                self._start_document(event)

    def mapping(self) -> Mapping:
        """The root of the complete document."""
        if self._root is None:
            raise StopError((1, 1), ProblemCode.EMPTY_FILE, f"the file is empty; {self._keys}")
        if not isinstance(self._root, Mapping):
            raise StopError(self._root_at, ProblemCode.NOT_A_MAPPING, self._keys)
        return self._root

    def _start_document(self, event: ev.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            why = "a second document starts here, but an inventory is one document. Fix: remove the --- line"
            raise StopError(_mark(event), ProblemCode.SECOND_DOCUMENT, why)

    def _scalar(self, event: ev.ScalarEvent) -> None:
        mark, plain = _mark(event), event.implicit[0]
        value = None if event.value in _NULLS and (plain or event.tag == _CORE + "null") else event.value
        if event.tag is not None:
            self._check_tag(event, mark)
        self._size += 1
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        if self._stack and self._stack[-1].wants_key():
            self._key(event.value, mark, merging=plain and event.value == "<<")
        else:
            self._put(value, mark, _end_mark(event))

    def _alias(self, event: ev.AliasEvent) -> None:
        mark, name = _mark(event), event.anchor
        if any(frame.anchor == name for frame in self._stack):
            raise StopError(mark, ProblemCode.CYCLE, f"*{name} is inside &{name}, so it would contain itself")
        if name not in self._anchors:
            why = f"*{name} has no anchor &{name} before it"
            raise StopError(mark, ProblemCode.UNKNOWN_ANCHOR, why)
        value, size = self._anchors[name]
        self._size += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise StopError(mark, ProblemCode.TOO_LARGE, f"aliases expand to more than {MAX_ALIASED:,} values")
        if not self._stack[-1].wants_key():
            self._put(value, mark, _end_mark(event))
        elif isinstance(value, str):
            self._key(value, mark, merging=False)
        else:
            raise StopError(mark, ProblemCode.KEY_NOT_TEXT, "a key must be text")

    def _start(self, event: ev.CollectionStartEvent, container: Mapping | Sequence) -> None:
        mark = _mark(event)
        if event.tag is not None:
            self._check_tag(event, mark)
        if len(self._stack) == MAX_DEPTH:
            raise StopError(mark, ProblemCode.TOO_DEEP, f"nested more than {MAX_DEPTH} levels deep")
        if self._stack and self._stack[-1].wants_key():
            why = "a key must be text. Fix: quote values that start with { or ["
            raise StopError(mark, ProblemCode.KEY_NOT_TEXT, why)
        self._stack.append(_Frame(container, mark, event.anchor, self._size))
        self._size += 1

    def _end(self) -> None:
        frame = self._stack.pop()
        if isinstance(frame.container, Mapping):
            for merged in frame.merges:
                frame.container.merge(merged)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.container, self._size - frame.size_before)
        self._put(frame.container, frame.mark)

    def _key(self, text: str, mark: Position, *, merging: bool) -> None:
        frame = self._stack[-1]
        frame.key, frame.key_at, frame.merging = text, mark, merging

    def _put(self, value: Value, mark: Position, end: Position | None = None) -> None:
        if not self._stack:
            self._root, self._root_at = value, mark
            return
        frame = self._stack[-1]
        if isinstance(frame.container, Sequence):
            frame.container.append(value)
            frame.container.items_at.append(mark)
        elif frame.merging:
            self._merge(frame, value, mark)
        elif frame.key is not None:
            self._enter(frame.container, frame.key, value, key_at=frame.key_at, value_at=mark, end_at=end)
        frame.key = None

    def _enter(
        self,
        container: Mapping,
        key: str,
        value: Value,
        *,
        key_at: Position,
        value_at: Position,
        end_at: Position | None,
    ) -> None:
        if key in container:
            why = f"duplicate key {quoted(key)}, already on line {container.keys_at[key][0]}"
            self.faults.append((key_at, ProblemCode.DUPLICATE_KEY, why))
        else:
            container.enter(key, value, key_at=key_at, value_at=value_at, end_at=end_at)

    def _merge(self, frame: _Frame, value: Value, mark: Position) -> None:
        for source in value if isinstance(value, Sequence) else [value]:
            if isinstance(source, Mapping):
                frame.merges.append(source)
            else:
                why = "<< needs a mapping or a list of mappings, for example <<: *defaults"
                self.faults.append((mark, ProblemCode.BAD_MERGE, why))

    def _check_tag(self, event: ev.ScalarEvent | ev.CollectionStartEvent, mark: Position) -> None:
        tag = event.tag or "!"
        if not self._any_tag and tag not in _TAGS[type(event)]:
            shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
            why = f"tag {quoted(shown)} is not supported. Fix: remove it"
            self.faults.append((mark, ProblemCode.UNKNOWN_YAML_TAG, why))


def _mark(event: ev.Event) -> Position:
    start: Any = event.start_mark  # the stubs allow None, but events of a parser always have a mark
    return start.line + 1, start.column + 1


def _end_mark(event: ev.Event) -> Position:
    end: Any = event.end_mark
    return end.line + 1, end.column + 1
