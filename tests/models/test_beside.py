"""The head that points at the hand beside a hand: its cells say where from where they are."""

import pytest
import torch

from knuckle.codec import NeighbourCodec
from knuckle.models.keypoints import Beside

MAP = 4


@pytest.fixture
def head() -> Beside:
    """One that trusts the cell where the first channel is 1, and says the same everywhere."""
    head = Beside(2, MAP)
    for weight in head.parameters():
        torch.nn.init.zeros_(weight)
    first, _, second = head.votes
    with torch.no_grad():
        first.weight[0, 0, 1, 1] = 1.0
        second.weight[0, 0] = 100.0
        second.bias[1:] = torch.tensor([0.7, 0.1, -0.2, 0.3, 0.8, 0.6])
    return head


@pytest.mark.parametrize("row", range(MAP))
@pytest.mark.parametrize("column", range(MAP))
def test_who_is_trusted_speaks_from_where_it_is(head: Beside, row: int, column: int) -> None:
    level = torch.zeros(1, 2, MAP, MAP)
    level[0, 0, row, column] = 1.0
    has, *values = head(level)[0].tolist()
    assert has == pytest.approx(0.7)
    x, y, *shape = values
    assert x == pytest.approx((column + 0.5) / MAP - 0.5 + 0.1, abs=1e-5)
    assert y == pytest.approx((row + 0.5) / MAP - 0.5 - 0.2, abs=1e-5)
    assert shape == pytest.approx([0.3, 0.8, 0.6])
    assert len(values) == NeighbourCodec.N_VALUES


def test_where_nobody_knows_better_all_count_alike(head: Beside) -> None:
    _, x, y, *_ = head(torch.zeros(3, 2, MAP, MAP))[2].tolist()
    assert (x, y) == pytest.approx((0.1, -0.2), abs=1e-6)  # around the middle of the map
