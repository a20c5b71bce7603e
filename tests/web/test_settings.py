import re
from pathlib import Path

import pytest

from knuckle import crop
from knuckle.pipeline import TrackerSettings
from knuckle.stages import read_card, weights_folder
from knuckle.web.settings import page_settings

SOURCES = Path(__file__).parents[2] / "web" / "src"


@pytest.fixture(scope="module")
def told() -> dict:
    kinds = ("detector", "keypoints", "lifter", "pair")
    return page_settings({kind: weights_folder(None) / f"{kind}.onnx" for kind in kinds})


def test_the_page_is_told_what_holds_here(told: dict) -> None:
    card = read_card(weights_folder(None) / "keypoints.onnx")
    assert told["cards"]["keypoints"]["input_size"] == card.input_size
    assert told["constants"]["crop"]["MARGIN"] == crop.MARGIN
    assert told["tracker"]["max_hands"] == TrackerSettings().max_hands


def test_every_number_that_the_page_asks_for_is_told(told: dict) -> None:
    """A constant that is renamed here must be renamed there."""
    asked = 0
    for path in sorted(SOURCES.glob("*.ts")):
        text = path.read_text()
        modules = [name for name in told["constants"] if f'"{name}"' in text]
        names = set(re.findall(r'"(_?[A-Z][A-Z_]+)"', text))
        # Where no module is asked, such a name is the browser's.
        names = names if modules else set()
        unknown = {n for n in names if not any(n in told["constants"][m] for m in modules)}
        assert unknown == set(), path.name
        for call, kind in (("setting", "tracker"), ("decision", "decisions")):
            some = set(re.findall(rf'{call}\("(\w+)"\)', text))
            assert some <= set(told[kind]), path.name
            asked += len(some)
        asked += len(names)
    assert asked > 50
