"""The pull parser gives what ``json.load`` gives, from any chunk size, and says what is broken."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knuckle.data import json_stream
from knuckle.data.json_stream import BrokenDataError, JsonStream

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


def walk(stream: JsonStream) -> Any:
    """Rebuild a document through every door of the parser."""
    start = stream._peek()
    if start == "{":
        return {key: walk(stream) for key in stream.members()}
    if start == "[":
        return [walk(stream) for _ in stream.elements()]
    return stream.value()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    values.filter(lambda v: isinstance(v, dict | list)),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_any_document_in_any_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: Any, chunk: int, indent: int | None
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    path = tmp_path / "document.json"
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=False), "utf-8")
    with JsonStream(path) as stream:
        assert walk(stream) == document
    with JsonStream(path) as stream:
        stream.skip()
        with pytest.raises(BrokenDataError):
            stream.value()  # nothing is left


def records(path: Path) -> list[Any]:
    with JsonStream(path) as stream:
        found = []
        for key in stream.members():
            for _ in stream.elements():
                found.append((key, stream.value()))
        return found


def test_a_file_that_breaks_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    text = json.dumps({"images": [{"id": i, "file_name": f"a{i}.jpg"} for i in range(50)]})
    for length in (0, 1, 5, len(text) // 2, len(text) - 1):
        path.write_text(text[:length])
        with pytest.raises(BrokenDataError, match=r"cut\.json.*breaks off"):
            records(path)


def test_garbage_in_the_middle_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "garbage.json"
    path.write_text('{"images": [{"id": 1}, {"id": @}, ' + '{"id": 2}, ' * 20000 + "0]}")
    with pytest.raises(BrokenDataError, match=r"not valid JSON at character 30"):
        records(path)
    path.write_bytes(b'{"images": [{"id": "\xff\xfe"}]}')
    with pytest.raises(BrokenDataError, match="not UTF-8"):
        records(path)
    path.write_text('{"images": [1 2]}')
    with pytest.raises(BrokenDataError, match="expected ','"):
        records(path)
    with pytest.raises(BrokenDataError, match="does not exist"):
        records(tmp_path / "absent.json")


def test_a_syntax_error_does_not_read_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text('{"images": [{"id": oops}, ' + '{"id": 2}, ' * 1_000_000 + "0]}")
    with JsonStream(path) as stream:
        next(stream.members())
        next(stream.elements())
        with pytest.raises(BrokenDataError):
            stream.value()
        assert stream._file.tell() < 3 * json_stream._CHUNK
