"""Reading JSON files that are too large to hold: one record at a time, in a fixed small memory.

``json.load`` of InterHand2.6M's training labels takes over 20 GB. Their top structure is known, so
a pull parser walks it and lets the standard decoder turn one record after the other into objects.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from knuckle.errors import InputError, KnuckleError

_CHUNK = 1 << 20
#: A syntax error further than this from the end of what was read is one, not a missing rest.
_LONGEST_TOKEN = 1 << 16
_SPACE = " \t\n\r"


class BrokenDataError(InputError):
    """A data set's file is not what it should be: which file, which record, what to do."""


class BrokenRecordsError(BrokenDataError):
    """Records of a label file are not what they should be.

    Attributes:
        path: the file.
        sentences: for every broken record, which it is and what is wrong.
    """

    def __init__(self, path: Path, sentences: Sequence[str]) -> None:
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        super().__init__(f"{path}, {sentences[0]}{more}")
        self.path, self.sentences = path, tuple(sentences)


def fault_of(error: Exception, whose: str) -> str:
    """What is wrong with a record, in a few words: those of libraries are about themselves.

    Args:
        error: raised over it.
        whose: the data set.
    """
    if isinstance(error, KnuckleError):
        return str(error)
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return f"not as {whose} writes it"


class MissingDataError(BrokenDataError):
    """The label files of a split are not there at all: perhaps they were not unpacked."""


class NothingLeftError(BrokenDataError):
    """None of a split's records is of those that were asked for."""


class JsonStream:
    """A pull parser over one JSON file.

    The caller walks down with ``members`` and ``elements`` and takes whole values with ``value``;
    every key or element that is yielded must be consumed (by one of the three, or ``skip``) before
    the next is asked for::

        with JsonStream(path) as stream:
            for key in stream.members():
                if key == "images":
                    for _ in stream.elements():
                        record = stream.value()
                else:
                    stream.skip()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._at = 0
        self._dropped = 0  # characters before the buffer
        self._ended = False

    def __enter__(self) -> JsonStream:
        try:
            self._file = self.path.open("rb")
        except FileNotFoundError:
            raise MissingDataError(f"{self.path} does not exist") from None
        self._text = codecs.getincrementaldecoder("utf-8-sig")()  # editors mark the text
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def members(self) -> Iterator[str]:
        """Keys of the object that starts here; the caller consumes each key's value."""
        self._expect("{")
        while self._peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise self._broken(f"expected a key, got {key!r:.40}")
            self._expect(":")
            yield key
            self._comma("}")
        self._at += 1

    def elements(self) -> Iterator[int]:
        """Indices of the array that starts here; the caller consumes each element."""
        self._expect("[")
        index = 0
        while self._peek() != "]":
            yield index
            index += 1
            self._comma("]")
        self._at += 1

    def value(self) -> Any:
        """The whole value that starts here."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                near_end = error.pos > len(self._buffer) - _LONGEST_TOKEN
                unfinished = near_end or error.msg.startswith("Unterminated string")
                if self._ended or not unfinished:
                    raise self._broken(error.msg, error.pos) from None
                self._more()
                continue
            if end > len(self._buffer) - len("e+1") and not self._ended:
                self._more()  # a number may go on in the next chunk: "1", "1.", "1e+"
                continue
            self._at = end
            return value

    def skip(self) -> None:
        """Pass over the value that starts here without holding more than one part of it."""
        start = self._peek()
        if start == "{":
            for _ in self.members():
                self.skip()
        elif start == "[":
            for _ in self.elements():
                self.skip()
        else:
            self.value()

    def _peek(self) -> str:
        """The next character that is not white space."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                raise self._broken("the file ends here")
            self._more()

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise self._broken(f"expected {character!r}")
        self._at += 1

    def _comma(self, closing: str) -> None:
        if self._peek() == ",":
            self._at += 1
        elif self._buffer[self._at] != closing:
            raise self._broken(f"expected ',' or {closing!r}")

    def _more(self) -> None:
        """Read on; what was consumed is dropped. The step grows with what one value needs."""
        kept = self._buffer[self._at :]
        content = self._file.read(max(_CHUNK, len(kept)))
        self._ended = not content
        try:
            text = self._text.decode(content, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._broken(f"not UTF-8 text ({error.reason})", len(self._buffer)) from None
        self._dropped += self._at
        self._buffer, self._at = kept + text, 0

    def _broken(self, what: str, at: int | None = None) -> BrokenDataError:
        where = self._dropped + (self._at if at is None else at)
        if self._ended and (at is None or at >= len(self._buffer) - 1 or "Untermin" in what):
            return BrokenDataError(
                f"{self.path} breaks off after {where:,} characters ({what}); "
                "it is not whole: download or unpack it again"
            )
        return BrokenDataError(f"{self.path} is not valid JSON at character {where:,}: {what}")
