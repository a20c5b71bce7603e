"""A split keeps whole what must stay whole, comes near to its shares, and is always the same."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knuckle.data.datasets import divide, leak_report, open_dataset, open_divided
from knuckle.data.interhand26m import Selection
from knuckle.data.json_stream import BrokenDataError
from knuckle.data.labelled import Groups
from knuckle.data.splits import (
    PARTS,
    described_leaks,
    leaks,
    split_by_groups,
    write_split,
)
from miniatures import InterHandScene, write_folder, write_interhand


def recordings(
    rng: np.random.Generator, subjects: int, captures: int, sequences: int, steps: int, views: int
) -> Groups:
    """Every person in `captures` captures on average, each with sequences, steps and views."""
    n_captures = subjects * captures
    capture = np.repeat(np.arange(n_captures), sequences * steps * views)
    subject = rng.permutation(np.arange(n_captures) % subjects)[capture]
    sequence = np.repeat(np.arange(n_captures * sequences), steps * views)
    step = np.repeat(np.arange(n_captures * sequences * steps), views)
    keep = rng.random(len(step)) < rng.uniform(0.5, 1)
    order = rng.permutation(np.flatnonzero(keep))
    return Groups(subject[order], capture[order], sequence[order], step[order])


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_no_moment_sequence_or_chosen_group_stands_in_two_parts(
    seed: int, subjects: int, captures: int, sequences: int, steps: int
) -> None:
    groups = recordings(np.random.default_rng(seed), subjects, captures, sequences, steps, 3)
    split = split_by_groups(groups)
    found = leaks(groups, split.part)
    levels = ["subject", "capture", "sequence", "step"]
    assert all(found[level] == 0 for level in levels[levels.index(split.level) :])
    assert np.isclose(sum(split.shares), 1)
    assert [np.mean(split.part == k) for k in range(3)] == pytest.approx(split.shares)


def test_26_people_are_dealt_out_by_person_near_the_shares() -> None:
    groups = recordings(np.random.default_rng(0), 26, 1, 20, 30, 4)
    split = split_by_groups(groups)
    assert split.level == "subject"
    assert split.shares == pytest.approx((0.70, 0.15, 0.15), abs=0.01)
    assert leaks(groups, split.part) == {"subject": 0, "capture": 0, "sequence": 0, "step": 0}


def test_three_people_are_too_few_so_sequences_are_dealt_out() -> None:
    groups = recordings(np.random.default_rng(0), 3, 1, 20, 10, 4)
    split = split_by_groups(groups)
    assert split.level == "sequence"
    assert split.shares == pytest.approx((0.70, 0.15, 0.15), abs=0.02)
    assert leaks(groups, split.part)["sequence"] == 0
    assert leaks(groups, split.part)["subject"] == 3


def test_no_part_stays_empty_if_there_are_three_groups() -> None:
    four = np.arange(4)
    split = split_by_groups(Groups(four, four, four, four))
    assert min(split.groups) == 1
    two = np.arange(2)
    assert sorted(split_by_groups(Groups(two, two, two, two)).groups) == [0, 1, 1]


def test_known_groups_are_not_cut_for_the_sake_of_the_shares() -> None:
    sequence = np.repeat(np.arange(4), 3)  # whole, they can only give 6, 3 and 3 of 12
    split = split_by_groups(Groups.of(len(sequence), sequence=sequence))
    assert split.level == "sequence"
    assert min(split.groups) == 1
    assert leaks(Groups.of(len(sequence), sequence=sequence), split.part) == {"sequence": 0}


def test_a_capture_that_shows_two_people_keeps_both_together() -> None:
    # Eight people, of whom 0 and 1 share capture 0.
    subject = np.repeat([0, 1, *range(2, 20)], 10)
    capture = np.repeat([0, 0, *range(2, 20)], 10)
    step = np.arange(len(subject))
    split = split_by_groups(Groups(subject, capture, capture, step))
    assert split.level == "subject"
    assert len(set(split.part[subject <= 1])) == 1


def test_unknown_people_fall_to_the_next_level() -> None:
    groups = recordings(np.random.default_rng(0), 26, 1, 4, 4, 2)
    unknown = Groups(np.full(len(groups), -1), groups.capture, groups.sequence, groups.step)
    assert split_by_groups(unknown).level == "capture"
    nothing = np.full(100, -1)
    assert split_by_groups(Groups(nothing, nothing, nothing, nothing)).level == "record"


def test_the_same_data_give_the_same_split_in_any_order() -> None:
    groups = recordings(np.random.default_rng(0), 26, 1, 4, 4, 2)
    order = np.random.default_rng(1).permutation(len(groups))
    mixed = Groups(*(getattr(groups, k)[order] for k in ("subject", "capture", "sequence", "step")))
    assert np.array_equal(split_by_groups(groups).part[order], split_by_groups(mixed).part)
    assert np.array_equal(split_by_groups(groups).part, split_by_groups(groups).part)


def test_leaks_are_counted() -> None:
    one = np.zeros(4, int)
    groups = Groups(np.array([0, 0, 1, 1]), np.full(4, -1), one, np.arange(4))
    found = leaks(groups, np.array([0, 1, 2, 2]))
    assert found == {"subject": 1, "sequence": 1, "step": 0}  # captures are not known
    assert described_leaks(found, "mine") == "mine: 1 subject, 1 sequence in more than one part"
    none = {"sequence": 0, "step": 0}
    assert described_leaks(none, "mine") == "mine: no sequence and no step stands in two parts"
    assert "nothing is known" in described_leaks({}, "mine")


def test_what_stands_in_two_official_splits_is_told(tmp_path: Path) -> None:
    root = tmp_path / "own"
    write_folder(root)
    lines = [json.loads(line) for line in (root / "labels.jsonl").read_text().splitlines()]
    assert "only train is here" in leak_report(root, "train")
    for split, expected in ((1, "1 sequence in more than"), (2, "no sequence stands in two")):
        for number, line in enumerate(lines[1:]):  # groups of two pictures
            line["split"] = "train" if number < split else "val"
        (root / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert expected in leak_report(root, "train")
    # Two groups do not fill three parts: this division cuts them, and says so.
    assert leak_report(root, "70/15/15:train") == "70/15/15: 2 sequences in more than one part"


def test_bad_requests() -> None:
    empty = np.zeros(0, int)
    with pytest.raises(ValueError, match="nothing to split"):
        split_by_groups(Groups(empty, empty, empty, empty))
    one = np.zeros(3, int)
    with pytest.raises(ValueError, match="add up to 1"):
        split_by_groups(Groups(one, one, one, one), (0.7, 0.2, 0.2))


def parts_in(path: Path, keys: Sequence[str]) -> list[int]:
    """The part of each record by a file of a split."""
    parts = json.loads(path.read_text())["parts"]
    part_of = {key: PARTS.index(name) for name in PARTS for key in parts[name]}
    return [part_of[key] for key in keys]


def test_a_split_file_names_the_part_of_every_record(tmp_path: Path) -> None:
    groups = recordings(np.random.default_rng(0), 26, 1, 4, 4, 2)
    split = split_by_groups(groups)
    keys = [f"k{i}" for i in range(len(groups))]
    write_split(tmp_path / "split.json", split, keys, "interhand26m")
    assert parts_in(tmp_path / "split.json", keys) == split.part.tolist()


def test_interhand_is_divided_over_all_its_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "set"
    scene = InterHandScene({c: c for c in range(10)}, sequences=("a",), steps=(0, 18))
    write_interhand(root, scene, split="train")
    later = InterHandScene({c: c for c in range(5, 15)}, sequences=("b",), steps=(0, 18))
    write_interhand(root, later, split="test")  # people 5 to 9 come in both
    whole, split = open_divided(root)
    assert len(whole) == 80
    assert split.level == "subject"
    assert leaks(whole.groups(), split.part)["subject"] == 0
    parts = [open_dataset(root, f"70/15/15:{name}") for name in PARTS]
    assert sum(len(part) for part in parts) == 80
    people = [set(part.groups().subject.tolist()) for part in parts]
    assert people[0] | people[1] | people[2] == set(range(15))
    assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
    assert parts[1][0].image.shape == (512, 334, 3)
    with pytest.raises(ValueError, match="train,val,test"):
        open_dataset(root, "70/15/15:dev")
    assert parts[0].division == str(split)
    assert parts[0].name == whole.name == "interhand26m"  # in tables, and of shards
    written = divide(root, tmp_path / "split.json")
    keys = [whole.record(index).key for index in range(len(whole))]
    assert parts_in(tmp_path / "split.json", keys) == split.part.tolist()
    assert written.shares == split.shares


def test_a_selection_holds_for_all_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for split in ("train", "test"):
        write_interhand(tmp_path / "set", InterHandScene({3: 3}), split=split)
    assert len(open_dataset(tmp_path / "set", selection=Selection(hands="two"))) == 8
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "labels.jsonl").write_text("{}")
    with pytest.raises(ValueError, match=r"only InterHand2\.6M"):
        open_dataset(tmp_path / "own", selection=Selection())


def test_a_selection_is_divided_as_the_whole_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or training on clean records would see people of the test part, which leaves none out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "set"
    some = InterHandScene({c: c for c in range(4)}, sequences=("a",), steps=(0, 18, 36))
    write_interhand(root, some, split="train")
    more = InterHandScene({c: c for c in range(4, 9)}, ("a", "b", "c"), steps=(0, 18))
    write_interhand(root, replace(more, hand_types=("interacting", "left")), split="val")

    def people(selection: Selection | None) -> dict[int, str]:
        parts = [open_dataset(root, f"70/15/15:{p}", selection=selection) for p in PARTS]
        return {
            subject: name
            for name, part in zip(PARTS, parts, strict=True)
            for subject in part.groups().subject.tolist()
        }

    whole = people(Selection.official())
    assert set(whole.values()) == set(PARTS)
    for selection in (None, Selection(hands="two"), Selection(hands="two", clean=False)):
        chosen = people(selection)
        assert chosen == {subject: whole[subject] for subject in chosen}, selection


def test_a_split_of_which_nothing_is_selected_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_interhand(tmp_path, InterHandScene({3: 3}), split="train")
    write_interhand(tmp_path, InterHandScene({4: 4}, hand_types=("left",)), split="test")
    assert open_dataset(tmp_path, selection=Selection(hands="two")).split == "train"
    with pytest.raises(BrokenDataError, match="not of two hands"):
        open_dataset(tmp_path, "test", selection=Selection(hands="two"))
