"""The quick median is NumPy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from knuckle.median import median

numbers = arrays.arrays(
    np.float64,
    arrays.array_shapes(min_dims=1, max_dims=3, max_side=7),
    elements=st.floats(-1e6, 1e6),
)


@given(numbers, st.integers(0, 2))
def test_it_is_the_median(values: np.ndarray, axis: int) -> None:
    axis = min(axis, values.ndim - 1)
    np.testing.assert_allclose(median(values, axis), np.median(values, axis=axis), atol=1e-9)
