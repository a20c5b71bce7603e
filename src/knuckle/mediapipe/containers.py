"""What MediaPipe's answers are made of: landmarks, lists of them, categories.

One class serves where MediaPipe has two, a data class for its Tasks API and a protocol buffer for
``solutions``: the fields have the same names, and the few methods of a message that programs are
seen to call (``HasField``, ``CopyFrom``, ``SerializeToString``, ``landmark.add()``, …) are there.
"""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self


class Field(NamedTuple):
    """Stands for a message's descriptor in ``ListFields``."""

    name: str


class Message:
    """What programs call on a protocol buffer."""

    def HasField(self, name: str) -> bool:
        """Whether a field was set; 0 counts as not set."""
        if name not in {each.name for each in fields(self)}:  # type: ignore[arg-type]
            raise ValueError(f"{type(self).__name__} has no field {name!r}")
        return getattr(self, name) not in (None, 0.0, "")

    def ListFields(self) -> list[tuple[Field, Any]]:
        """The fields that are set, each with a descriptor that has its name."""
        values = [(Field(each.name), getattr(self, each.name)) for each in fields(self)]  # type: ignore[arg-type]
        return [(name, value) for name, value in values if value not in (None, 0.0, "", [])]

    def CopyFrom(self, other: Self) -> None:
        """Become the same as another, and stay so when that one changes.

        Raises:
            TypeError: the other is of another kind.
        """
        self._expect_alike(other)
        vars(self).update(copy.deepcopy(vars(other)))

    def MergeFrom(self, other: Self) -> None:
        """Take over what is set in another; lists go on with those of the other.

        Raises:
            TypeError: the other is of another kind.
        """
        self._expect_alike(other)
        for (name,), value in copy.deepcopy(other).ListFields():
            if isinstance(value, list):
                getattr(self, name).extend(value)
            else:
                setattr(self, name, value)

    def SerializeToString(self) -> bytes:
        """What a message of MediaPipe's parses: the wire format, fields numbered in their order."""
        wire = b""
        for number, each in enumerate(fields(self), start=1):  # type: ignore[arg-type]
            value = getattr(self, each.name) if self.HasField(each.name) else []
            for item in value if isinstance(value, list) else [value]:
                wire += _on_the_wire(number, float(item) if "float" in each.type else item)
        return wire

    def _expect_alike(self, other: object) -> None:
        if type(other) is not type(self):
            raise TypeError(f"expected a {type(self).__name__}, got {type(other).__name__}")


def _on_the_wire(number: int, value: Message | str | int | float) -> bytes:
    """A field: its number, the kind of what follows (0, 2 or 5), and that."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, Message | str):
        content = value.encode() if isinstance(value, str) else value.SerializeToString()
        return _varint(number << 3 | 2) + _varint(len(content)) + content
    return _varint(number << 3 | 5) + struct.pack("<f", value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last are marked."""
    marked = bytearray()
    while value > 0x7F:
        marked.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*marked, value])


class Repeated(list[Any]):
    """A list that makes its own items, as those of messages do."""

    def __init__(self, kind: type[Message], items: Iterable[Any] = ()) -> None:
        """Hold items of a kind."""
        super().__init__(items)
        self._kind = kind

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles know their kind."""
        return type(self), (self._kind, list(self))

    def add(self, **values: Any) -> Any:
        """A new item at the end, with these fields."""
        self.append(self._kind(**values))
        return self[-1]


class Text(Message):
    """Prints as a protocol buffer does, a field a line."""

    def __str__(self) -> str:
        return _text(self)


def _text(message: Message) -> str:
    lines = []
    for each, value in message.ListFields():
        for item in value if isinstance(value, list) else [value]:
            lines += _lines(each.name, item)
    return "\n".join(lines) + "\n"


def _lines(name: str, value: Any) -> list[str]:
    """A field's own lines."""
    if not isinstance(value, Message):
        return [f"{name}: {json.dumps(value)}"]
    return [f"{name} {{", *(f"  {line}" for line in _text(value).splitlines()), "}"]


@dataclass
class _Point(Message):
    x: float | None = None
    y: float | None = None
    z: float | None = None
    visibility: float | None = None
    presence: float | None = None
    name: str | None = None

    def to_pb2(self) -> Self:
        """The same for ``solutions``: a copy, as there is one class for both."""
        return copy.copy(self)

    @classmethod
    def create_from_pb2(cls, pb2_obj: Self) -> Self:
        """The same for the Tasks API: a copy."""
        return copy.copy(pb2_obj)


@dataclass
class Landmark(_Point):
    """A point in metres; x right, y down, z away from the camera, from the hand's middle."""


@dataclass
class NormalizedLandmark(_Point):
    """A point in shares of the picture: x of its width, y of its height; z in the scale of x."""


@dataclass
class LandmarkList(Text):
    """The 21 points of a hand in metres."""

    landmark: list[Landmark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.landmark = Repeated(Landmark, self.landmark)


@dataclass
class NormalizedLandmarkList(Text):
    """The 21 points of a hand in the picture."""

    landmark: list[NormalizedLandmark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.landmark = Repeated(NormalizedLandmark, self.landmark)


@dataclass
class Category:
    """A side, in the words of the Tasks API."""

    index: int | None = None
    score: float | None = None
    display_name: str | None = None
    category_name: str | None = None


@dataclass
class Classification(Text):
    """A side, in the words of ``solutions``."""

    index: int = 0
    score: float = 0.0
    label: str = ""
    display_name: str = ""


@dataclass
class ClassificationList(Text):
    """The side of a hand."""

    classification: list[Classification] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.classification = Repeated(Classification, self.classification)
