"""Records of rows: what is taken apart and joined again is the same."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from knuckle.rows import Rows


@dataclass(frozen=True, eq=False)
class Inner(Rows):
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Outer(Rows):
    names: tuple[str, ...]
    inner: Inner
    unknown: np.ndarray | None = None


def numbered(n: int) -> Outer:
    return Outer(tuple(map(str, range(n))), Inner(np.arange(3 * n).reshape(n, 3)))


def same(one: Outer, other: Outer) -> bool:
    assert one.unknown is None and other.unknown is None
    return one.names == other.names and np.array_equal(one.inner.values, other.inner.values)


@given(st.integers(0, 6), st.data())
def test_parts_joined_are_the_whole(n, data):
    cut = data.draw(st.integers(0, n))
    parts = [numbered(n).take(range(cut)), numbered(n).take(range(cut, n))]
    assert same(Outer.joined(parts), numbered(n))


@given(st.lists(st.booleans(), max_size=6))
def test_a_mask_takes_what_its_numbers_take(mask):
    whole, chosen = numbered(len(mask)), np.array(mask, bool)
    assert same(whole.take(chosen), whole.take(np.flatnonzero(chosen)))
    assert whole.take(chosen).names == tuple(str(i) for i in np.flatnonzero(chosen))


@given(st.lists(st.booleans(), max_size=6))
def test_rows_replaced_by_their_own_are_the_same(mask):
    whole, chosen = numbered(len(mask)), np.array(mask, bool)
    assert same(whole.with_rows(chosen, whole.take(chosen)), whole)
    swapped = whole.with_rows(np.flatnonzero(chosen), whole.take(np.flatnonzero(chosen)[::-1]))
    assert sorted(swapped.names) == sorted(whole.names)
    assert [int(name) * 3 for name in swapped.names] == swapped.inner.values[:, 0].tolist()


def test_a_tuple_of_records_is_taken_replaced_and_joined_record_by_record():
    @dataclass(frozen=True, eq=False)
    class Two(Rows):
        both: tuple[Inner, Inner]

    two = Two((numbered(3).inner, numbered(3).take([2, 1, 0]).inner))
    back = Two.joined([two.take([0]), two.take([1, 2])])
    for one, other in zip(back.both, two.with_rows(np.array([1]), two.take([1])).both, strict=True):
        assert np.array_equal(one.values, other.values)
