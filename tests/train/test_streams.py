"""Streams of examples: every worker has something, and nothing is trained on and judged by."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.data.photographs import Part
from knuckle.data.shards import write_shard
from knuckle.errors import InputError
from knuckle.sample import Sample
from knuckle.train import streams
from knuckle.train.recipe import PictureRecipe, Recipe, SourceSettings

RECIPE = Recipe(kind="keypoints", name="r")
DOT = np.zeros((8, 8, 3), np.uint8)


def shard(folder, number, groups, own=False):
    keys = [f"{number}-{k}" for k in range(len(groups))]
    write_shard(
        folder / f"made-{number:05d}.tar",
        [
            Sample(image=DOT, hands=(), key=key, group=key if own else group)
            for key, group in zip(keys, groups, strict=True)
        ],
    )


def train_keys(folder, index, count, n):
    source = SourceSettings(shards=str(folder))
    stream = streams._endless(RECIPE, source, np.random.default_rng(index), index, count)
    return {next(stream).key for _ in range(n)}


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("shards", [1, 2, 4])
def test_every_worker_has_samples_however_many_there_are(tmp_path, shards, own):
    for number in range(shards):
        shard(tmp_path, number, [f"{number}/{k}" for k in range(60)], own)
    held = {sample.key for sample in streams.held_out(tmp_path)}
    seen = set()
    for count in (1, 2, 5):
        for index in range(count):
            seen |= train_keys(tmp_path, index, count, 300)
    assert held and not seen & held
    assert len(seen | held) == 60 * shards


@given(st.text(min_size=1), st.lists(st.integers(0, 60), min_size=1), st.booleans())
def test_a_group_is_on_one_side_whatever_shards_it_lies_in(group, numbers, alone):
    """A moment whose pictures lie in different shards, as FreiHAND's do."""
    sides = set()
    for number in numbers:
        path = Path(f"made-{number:05d}.tar")
        train, held = (streams.is_of(part, path, alone=alone) for part in get_args(Part))
        assert train("key of its own", group) != held("key of its own", group)
        sides.add(train("key of its own", group))
    assert len(sides) == 1 or group == "key of its own"


def test_rendered_samples_are_held_back_by_their_shard(tmp_path):
    for number in (0, 1, 24, 25):
        shard(tmp_path, number, ["", "", ""], own=number % 2 == 0)
    held = [sample.key for sample in streams.held_out(tmp_path)]
    assert held == [f"{number}-{k}" for number in (0, 25) for k in range(3)]


def test_where_nothing_is_held_back_a_sentence_says_so(tmp_path):
    shard(tmp_path, 1, ["one person"] * 3)
    assert train_keys(tmp_path, 0, 1, 9) == {"1-0", "1-1", "1-2"}
    with pytest.raises(InputError, match=r"no sample for validation in .*: one group in twenty"):
        next(streams.held_out(tmp_path))


def one_example_each(recipe):
    return lambda sample, rng: iter([{"key": 0}])


def test_a_few_recordings_of_ones_own_are_trained_on_and_others_judge(tmp_path):
    """As in examples/05: one group in twenty of five is mostly none."""
    for number in range(5):
        shard(tmp_path / "mine", number, [f"recording {number}"] * 3)
    shard(tmp_path / "crops", 0, [""] * 3, own=True)
    shard(tmp_path / "crops", 1, [""] * 3, own=True)
    sources = [SourceSettings(shards=str(tmp_path / name)) for name in ("mine", "crops")]
    recipe = PictureRecipe(kind="keypoints", name="r", sources=tuple(sources))
    with pytest.warns(UserWarning, match="nothing of .*mine is held back .* those of crops"):
        loaders = streams.picture_validation(recipe, one_example_each)
    assert list(loaders) == ["crops"]
    with pytest.raises(InputError, match=r"no sample for validation in .*mine"):
        streams.picture_validation(replace(recipe, sources=(sources[0],)), one_example_each)


def test_samples_that_give_no_example_do_not_spin_for_ever(monkeypatch):
    monkeypatch.setattr(streams, "_FRUITLESS", 50)
    endless = iter(lambda: SimpleNamespace(), None)
    examples = streams._examples(
        endless, lambda *_: iter(()), np.random.default_rng(0), SourceSettings(shards="here")
    )
    with pytest.raises(InputError, match="50 samples of here in a row"):
        next(examples)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12))
def test_all_workers_together_show_every_row_once_a_pass(n, workers):
    shares = []
    for index in range(workers):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streams, "_which_worker", lambda index=index: (index, workers))
            passes = streams.dealt(RECIPE, n, 0)
            shares.append([next(passes) for _ in range(2)])
    for number in range(2):
        rows = np.concatenate([share[number] for share in shares])
        assert set(rows) == set(range(n))
        assert len(rows) == max(n, workers)


def test_labels_of_the_wrist_count_as_the_source_says():
    def cut(sample: Sample, rng: np.random.Generator):
        yield {"point_weight": np.ones(21, np.float32)}
        yield {"image": np.zeros(1)}  # a detector's example has no such labels

    source = SourceSettings(shards="x", wrist=0.25)
    examples = streams._examples(iter([None]), cut, np.random.default_rng(0), source)
    weight = next(examples)["point_weight"]
    assert weight[[0, 1]].tolist() == [0.25, 0.25]
    assert (weight[2:] == 1).all()
    assert "point_weight" not in next(examples)
