"""Crops of both hands: what is learnt from them, and that the truth scores no error."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import timedelta
from importlib import resources

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from captures import TINY
from knuckle.cli.both_hands import Exported, _hands_of, predict_both
from knuckle.cli.training import network_of_both_hands
from knuckle.data.capture import write_capture
from knuckle.data.datasets import open_dataset
from knuckle.data.json_stream import BrokenDataError
from knuckle.errors import KnuckleError, Stopped
from knuckle.evaluate.predictions import PredictedHand, Predictions, System
from knuckle.evaluate.run import evaluate
from knuckle.export import export
from knuckle.hand import SIDES
from knuckle.models.both import BothOutput, BothSettings
from knuckle.models.internet import InterNetOutput, InterNetSettings, cells_of, volumes_of
from knuckle.stages import read_card
from knuckle.train.answers import Tally, both_answers, internet_answers
from knuckle.train.both_hands import BothHandsModule, BothHandsTraining
from knuckle.train.captures import (
    Still,
    crop_of,
    example_of,
    not_held_out,
    open_part,
    training_batches,
    validation_batches,
    varied,
    with_data,
)
from knuckle.train.kind import kind_named, module_of
from knuckle.train.licences import licence_of
from knuckle.train.recipe import OptimiserSettings, Recipe, SourceSettings
from knuckle.train.run import train
from knuckle.train.sitting import WholeFiles
from miniatures import write_freihand

INTERNET = InterNetSettings("lite", input_size=64, map_size=16, width=8, hidden=8)
FINE = InterNetSettings("lite", input_size=128, map_size=32, sigma_cells=1.25)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "capture"
    write_capture(root, replace(TINY, depth=False))
    return root


def small(kind, capture, **changes):
    both = BothSettings("imagenet", 64, (16, 16, 16), feature_size=4, width=32, blocks=1)
    return kind_named(kind).recipe(**{
        "name": kind,
        "workers": 0,
        "threads": 1,
        "sources": (SourceSettings(capture=str(capture)),),
        kind if kind == "internet" else "both": INTERNET if kind == "internet" else both,
        "both_hands": BothHandsTraining(validate_pictures=2),
        "optimiser": OptimiserSettings(minutes=0.02, batch=2),
        **changes,
    })  # fmt: skip


def batch_of(capture, size=128):
    dataset = open_dataset(capture, "all")
    still = Still(dataset, size)
    return dataset, still, default_collate([still[i] for i in range(len(still))])


def test_a_mirrored_crop_swaps_the_hands_and_keeps_the_truth(capture):
    dataset = open_dataset(capture, "all")
    index = next(i for i in range(len(dataset)) if len(dataset.record(i).hands) == 2)
    record, image = dataset.record(index), dataset.image(index)
    crop = crop_of(record, 64)
    plain = example_of(image, record, crop)
    other = example_of(image, record, replace(crop, mirror=True))
    np.testing.assert_array_equal(other["there"], plain["there"][::-1])
    np.testing.assert_allclose(other["depth_mm"], plain["depth_mm"][::-1], atol=1e-3)
    assert other["root_mm"] == pytest.approx(-plain["root_mm"], abs=1e-3)
    x = plain["points_px"][::-1][..., 0]
    valid = plain["valid"][::-1] > 0
    np.testing.assert_allclose(other["points_px"][..., 0][valid], 63 - x[valid], atol=1e-3)
    # In the view's axes the mirror is a mirror: bones keep their lengths.
    lengths = [np.linalg.norm(e["joints_mm"], axis=-1) for e in (plain, other)]
    np.testing.assert_allclose(lengths[1], lengths[0][::-1], rtol=1e-4, atol=1e-3)


def test_crops_vary_as_in_the_official_code(capture):
    crop = crop_of(open_dataset(capture, "all").record(0), 64)
    rng, settings = np.random.default_rng(0), BothHandsTraining()
    crops = [varied(crop, rng, settings) for _ in range(2000)]
    sizes = np.array([c.size_px for c in crops]) / crop.size_px
    assert sizes.min() == pytest.approx(0.75) and sizes.max() == pytest.approx(1.25)
    assert np.mean(np.abs(sizes - 1) > 0.2499) == pytest.approx(0.317, abs=0.04)  # beyond a sigma
    turns = np.degrees([c.angle for c in crops if c.angle])
    assert len(turns) / len(crops) == pytest.approx(0.6, abs=0.05)
    assert np.abs(turns).max() == pytest.approx(90)
    assert np.mean(np.abs(turns) < 45) == pytest.approx(0.683, abs=0.04)
    shifts = np.abs([np.subtract(c.centre_px, crop.centre_px) / crop.size_px for c in crops])
    assert 0.14 < shifts.max() <= 0.15
    assert np.mean([c.mirror for c in crops]) == pytest.approx(0.5, abs=0.05)


def test_a_wrist_beyond_the_crop_tells_internet_no_depth(capture):
    """As in the official code, which learns the other wrist only where both are seen."""
    _, _, batch = batch_of(capture, 64)
    two = batch["root_known"] > 0
    batch = {key: value[two][:1].clone() for key, value in batch.items()}
    module = module_of(small("internet", capture))
    assert module.losses(batch)["root"] > 0
    batch["points_px"][0, 1, 0] = torch.tensor([70.0, 30.0])
    assert module.losses(batch)["root"] == 0


def test_the_truth_in_internets_terms_has_no_error_but_the_grids(capture):
    _, _, batch = batch_of(capture)
    cells = cells_of(batch["points_px"], batch["depth_mm"], FINE)
    root = (batch["root_mm"] / FINE.range_mm + 1) / 2 * FINE.map_size
    out = InterNetOutput(volumes_of(cells, FINE), root, (batch["there"] * 2 - 1) * 9)
    errors = {}
    for decoding in ("soft", "argmax"):
        tally = Tally()
        tally.add(internet_answers(out, batch, FINE, decoding, "true"), batch)
        errors[decoding] = tally.numbers()
    assert errors["soft"]["mpjpe_mm"] < 0.5 < 2 < errors["argmax"]["mpjpe_mm"]
    assert errors["soft"]["mrrpe_mm"] < 1 and errors["soft"]["wrong_sides"] == 0


def test_internets_hands_are_unprojected_at_their_own_true_depths(capture):
    """As in the official code: what is said of the other wrist is MRRPE's alone."""
    _, still, batch = batch_of(capture)
    cells = cells_of(batch["points_px"], batch["depth_mm"], FINE)
    off = 40.0
    root = ((batch["root_mm"] + off) / FINE.range_mm + 1) / 2 * FINE.map_size
    out = InterNetOutput(volumes_of(cells, FINE), root, (batch["there"] * 2 - 1) * 9)
    answers, tally = internet_answers(out, batch, FINE, "soft", "true"), Tally()
    tally.add(answers, batch)
    numbers = tally.numbers()
    assert numbers["mpjpe_mm"] < 0.5
    assert numbers["mrrpe_mm"] > 0.9 * off
    hands = _hands_of(answers)
    keys = [still.dataset.record(row).key for row in still.rows]
    said = Predictions(System("off", "true"), dict(zip(keys, hands, strict=True)))
    scores = evaluate(still.dataset, said, "moon").scores
    assert scores.mpjpe_mm["all"] == pytest.approx(numbers["mpjpe_mm"], rel=1e-3)
    assert scores.mrrpe_mm == pytest.approx(numbers["mrrpe_mm"], rel=1e-3)


def truth_as_output(batch):
    return BothOutput(
        keypoints_px=batch["points_px"],
        log_sigma_px=torch.zeros_like(batch["valid"]),
        there_logit=(batch["there"] * 2 - 1) * 9,
        joints_mm=batch["joints_mm"],
        log_sigma_mm=torch.zeros_like(batch["valid"]),
        root_mm=batch["root_view_mm"],
        log_maps=torch.zeros(1),
        rays=view_rays(batch),
    )


def view_rays(batch):
    view = batch["view_from_crop"][:, None, None]
    points = batch["points_px"]
    ahead = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    xyz = (view @ ahead[..., None])[..., 0]
    return xyz[..., :2] / xyz[..., 2:]


@pytest.mark.parametrize("root_depth", ["true", "own"])
def test_the_truth_in_our_terms_has_no_error(capture, root_depth):
    _, _, batch = batch_of(capture)
    whole = (batch["valid_3d"].sum(dim=2) % 21 == 0).all(dim=1)  # no joint beyond the picture
    batch = {key: value[whole] for key, value in batch.items()}
    assert len(batch["there"]) > 4
    answers, tally = both_answers(truth_as_output(batch), batch, root_depth), Tally()
    tally.add(answers, batch)
    numbers = tally.numbers()
    assert numbers["mpjpe_mm"] < 0.05 and numbers["wrong_sides"] == 0
    there = batch["there"] > 0
    off = (answers.joints_mm[:, :, 0] - batch["roots_mm"])[there].norm(dim=-1)
    assert off.max() < (0.5 if root_depth == "true" else 5.0)


def test_the_tally_is_moons_protocol(capture):
    dataset, still, batch = batch_of(capture)
    torch.manual_seed(1)
    truth = both_answers(truth_as_output(batch), batch, "true")
    said = truth._replace(joints_mm=truth.joints_mm + 5 * torch.randn_like(truth.joints_mm))
    tally = Tally()
    tally.add(said, batch)
    hands = {
        dataset.record(row).key: [
            PredictedHand(
                side=side,
                score=float(said.there[i, s]),
                joints_px=said.joints_px[i, s].numpy(),
                joints_mm=said.joints_mm[i, s].double().numpy(),
            )
            for s, side in enumerate(SIDES)
        ]
        for i, row in enumerate(still.rows)
    }
    scores = evaluate(dataset, Predictions(System("noise", "true"), hands), "moon").scores
    numbers = tally.numbers()
    assert numbers["mpjpe_mm"] == pytest.approx(scores.mpjpe_mm["all"], rel=1e-4)
    assert numbers["mpjpe_two_mm"] == pytest.approx(scores.mpjpe_mm["two"], rel=1e-4)
    assert numbers["mrrpe_mm"] == pytest.approx(scores.mrrpe_mm, rel=1e-4)
    assert 1 - numbers["wrong_sides"] == pytest.approx(scores.handedness, abs=1e-6)


@pytest.mark.parametrize("kind", ["internet", "interhand"])
def test_a_handful_of_crops_is_learnt(capture, kind):
    recipe = small(kind, capture)
    still = BothHandsTraining(shift=0, scale=0, turned=0, flip=0, colour=0)
    # InterNet's volumes start at zero and aim at 255: a few steps bring them hardly nearer.
    rate, share = {"internet": (0.1, 0.99), "interhand": (3e-3, 0.8)}[kind]
    optimiser = replace(recipe.optimiser, rate=rate, batch=4)
    recipe = replace(recipe, both_hands=still, optimiser=optimiser)
    torch.manual_seed(0)
    module = module_of(recipe).train()
    batch = next(iter(training_batches(recipe)))
    optimiser, totals = module.configure_optimizers(), []
    for _ in range(15):
        loss = torch.stack(list(module.losses(batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        totals.append(float(loss.detach()))
    assert np.isfinite(totals).all() and totals[-1] < share * totals[0]


def test_rates_fall_by_epochs_as_published(capture):
    training = BothHandsTraining(epochs=20, drops=(15, 17))
    recipe = small("internet", capture, both_hands=training)
    module = module_of(recipe)
    rates = [module.rate(epoch / 20) / recipe.optimiser.rate for epoch in (0, 14, 15, 17, 19)]
    assert rates == pytest.approx([1, 1, 0.1, 0.01, 0.01])


def test_a_run_keeps_the_best_weights_says_its_licence_and_is_evaluated(capture, tmp_path, capsys):
    source = SourceSettings(capture=str(capture), license="CC-BY-NC-4.0")
    # Two sources, as in fine-tuning: both validations stand beside each other.
    recipe = small("interhand", capture, sources=(source, replace(source, share=0.5)))
    weights = train(recipe, tmp_path)
    said = capsys.readouterr().out
    header, first, *_, last = said.splitlines()
    assert header.split() == ["capture", "capture_1"]
    assert re.fullmatch(r"MPJPE, mm +[\d.]+ +[\d.]+", first) and last.endswith("kept")
    (line,) = (weights.parent / "scores.jsonl").read_text().splitlines()
    assert {"capture/mpjpe_mm", "capture_1/mpjpe_mm"} <= set(json.loads(line))
    before = weights.read_bytes()
    scores = weights.parent / "scores.jsonl"
    scores.write_text(json.dumps({"capture/mpjpe_mm": 1e-6}) + "\n")  # better than any
    train(replace(recipe, optimiser=replace(recipe.optimiser, minutes=0.03)), tmp_path)
    assert weights.read_bytes() == before
    (path,) = export(weights.parent, tmp_path / "onnx")
    assert read_card(path).license == "CC-BY-NC-4.0" and read_card(path).kind == "both"
    dataset = open_dataset(capture, "test")
    said = predict_both(weights.parent, dataset, tmp_path / "said.jsonl", root_depth="own")
    assert evaluate(dataset, said, "moon").scores.found == 1.0
    assert "CC-BY-NC-4.0" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="CC-BY-NC-4.0"):
        Exported(path)


@pytest.mark.parametrize("kind", ["internet", "interhand"])
@pytest.mark.parametrize("root_depth", ["true", "own"])
def test_an_exported_file_says_what_its_run_says(finished, capture, tmp_path, kind, root_depth):
    run, path = finished[kind]
    dataset = open_dataset(capture, "test")
    by_run, by_file = (
        predict_both(given, dataset, tmp_path / f"{n}.jsonl", root_depth=root_depth)
        for n, given in enumerate((run, path))
    )
    assert list(by_run.hands) == list(by_file.hands) and len(by_file.hands) > 1
    apart_px, apart_mm = [], []
    for key, hands in by_run.hands.items():
        for one, other in zip(hands, by_file.hands[key], strict=True):
            assert (one.side, one.score) == (other.side, pytest.approx(other.score, abs=1e-3))
            apart_px += np.abs(one.joints_px - other.joints_px).max(axis=-1).tolist()
            far = np.linalg.norm(one.joints_mm, axis=-1)
            apart_mm += (np.abs(one.joints_mm - other.joints_mm).max(axis=-1) / far).tolist()
    # Of two cells that are as high to the last digit, another one may win: rarely.
    assert np.quantile(apart_px, 0.9) < 0.05
    assert np.quantile(apart_mm, 0.9) < 1e-3


def test_a_file_or_its_folder_is_told_from_networks_of_one_hand(finished, tmp_path):
    run, path = finished["interhand"]
    assert network_of_both_hands(run) == network_of_both_hands(run / "weights.pt") == run
    assert network_of_both_hands(path) == network_of_both_hands(path.parent) == path
    shipped = resources.files("knuckle") / "weights"
    assert network_of_both_hands(shipped) is None
    assert network_of_both_hands(shipped / "keypoints.onnx") is None
    assert network_of_both_hands(tmp_path) is None
    for each in (path, finished["internet"][1]):
        shutil.copy(each, tmp_path)
    with pytest.raises(ValueError, match="give one of the files"):
        network_of_both_hands(tmp_path)


def test_an_exported_internet_has_no_highest_cells(finished, capture, tmp_path):
    with pytest.raises(ValueError, match="--decoding argmax needs the training run"):
        dataset = open_dataset(capture, "test")
        predict_both(finished["internet"][1], dataset, tmp_path / "said.jsonl", "argmax")


def test_hands_of_which_no_joint_is_known_are_asked_about_too(finished, capture, tmp_path):
    """As the official code does: which hands they are counts, where the data set knows it."""
    dataset = open_dataset(capture, "test")
    valid = np.array(dataset.index["joint_valid"])
    valid[dataset.rows[0]] = False
    dataset.index.columns["joint_valid"] = valid
    x, y, width, height = dataset.index["bbox"][dataset.rows[0]]
    crop = crop_of(dataset.record(0), 64)
    assert crop.centre_px == pytest.approx((x + width / 2, y + height / 2), rel=1e-5)
    assert crop.size_px == pytest.approx(1.25 * max(width, height), rel=1e-5)
    said = predict_both(finished["internet"][0], dataset, tmp_path / "said.jsonl")
    assert len(said.hands) == len(dataset)
    tally, still = Tally(), Still(dataset, 64)
    batch = default_collate([still[i] for i in range(len(still))])
    tally.add(both_answers(truth_as_output(batch), batch, "true"), batch)
    assert tally.numbers()["mpjpe_mm"] < 0.05 and tally.numbers()["wrong_sides"] == 0
    dataset.index.columns["bbox"] = np.zeros_like(dataset.index["bbox"])
    assert len(Still(dataset, 64)) == len(dataset) - 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_missing_picture_is_told_in_a_sentence(finished, capture, tmp_path, workers):
    root, run = tmp_path / "capture", tmp_path / "run"
    shutil.copytree(capture, root)
    next((root / "images/test").rglob("*.jpg")).unlink()
    shutil.copytree(finished["interhand"][0], run)
    recipe = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(recipe | {"workers": workers}))
    with pytest.raises(BrokenDataError, match=r"^\S+\.jpg does not exist; unpack [^\n]+$"):
        predict_both(run, open_dataset(root, "test"), tmp_path / "said.jsonl")


@pytest.fixture(scope="module")
def finished(capture, tmp_path_factory):
    """By kind: the folder of a run, and the file that it was exported to."""
    folder = tmp_path_factory.mktemp("finished")
    made = {}
    for kind in ("internet", "interhand"):
        run = folder / kind
        run.mkdir()
        recipe = small(kind, capture)
        torch.manual_seed(0)
        state = module_of(recipe).state_dict()
        # As after training: deconvolutions that say nothing yet make cells that are all alike.
        half = {
            n: (v + 0.05 * torch.randn_like(v)).half().float() if "hands." in n and v.dim() > 1
            else v.half().float() for n, v in state.items()
        }  # fmt: skip
        torch.save(half, run / "weights.pt")
        (run / "recipe.json").write_text(json.dumps(asdict(recipe)))
        (path,) = export(run, folder / f"{kind}_onnx")
        made[kind] = run, path
    return made


def test_only_the_real_data_set_marks_weights(capture, tmp_path):
    assert licence_of(capture) == ""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/annotations").symlink_to(capture / "annotations")
    assert licence_of(tmp_path / "real") == "CC-BY-NC-4.0"
    recipe = with_data(small("internet", capture), tmp_path / "real", "70/15/15")
    assert recipe.license == "CC-BY-NC-4.0" and recipe.sources[0].split == "70/15/15"


def test_a_run_goes_on_by_its_own_split_alone(capture, tmp_path):
    recipe = small("interhand", capture)
    train(recipe, tmp_path)
    other = with_data(recipe, capture, "70/15/15")
    with pytest.raises(ValueError, match=r"split official so far, asked for 70/15/15.*--fresh"):
        train(other, tmp_path)
    train(other, tmp_path, fresh=True)


def test_an_evaluation_says_where_a_run_may_have_been_trained(finished, capture):
    run = finished["interhand"][0]
    recipe = Recipe.load_json(run / "recipe.json")
    for held_out in ("val", "test"):
        assert not_held_out(recipe, capture, held_out) == ""
    for split in ("all", "train", "70/15/15:test"):
        assert "never seen is --split test" in not_held_out(recipe, capture, split)
    dealt = with_data(recipe, capture, "70/15/15")
    assert not_held_out(dealt, capture, "70/15/15:test") == ""
    assert "--split 70/15/15:test" in not_held_out(dealt, capture, "test")
    assert not_held_out(recipe, run, "all") == ""  # another data set
    later = replace(dealt, name="later", start_both=str(run / "weights.pt"))
    assert "interhand was trained" in not_held_out(later, capture, "70/15/15:test")


def test_what_is_missing_is_said_in_a_sentence(capture, tmp_path):
    recipe = small("internet", capture)
    with pytest.raises(ValueError, match="is not a folder"):
        with_data(recipe, tmp_path / "nowhere", None)
    lone = tmp_path / "lone"
    (lone / "annotations").mkdir(parents=True)
    (lone / "images").symlink_to(capture / "images")
    (lone / "annotations/test").symlink_to(capture / "annotations/test")
    with pytest.raises(ValueError, match=r"has no split train.*--split 70/15/15"):
        training_batches(with_data(recipe, lone, None))
    write_freihand(tmp_path / "freihand")
    with pytest.raises(ValueError, match=r"own splits are train, test, without val.*70/15/15"):
        validation_batches(with_data(recipe, tmp_path / "freihand", None))
    with pytest.raises(ValueError, match="learns from captures"):
        training_batches(replace(recipe, sources=(SourceSettings(shards="x"),)))


EPOCH = BothHandsTraining(epochs=3, validate_pictures=2)


def at_call(monkeypatch, method, number, then):
    """Do something amid a call of the module's method."""
    calls, real = [], getattr(BothHandsModule, method)

    def counting(*arguments):
        calls.append(1)
        if len(calls) == number:
            then()
        return real(*arguments)

    monkeypatch.setattr(BothHandsModule, method, counting)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_amid_an_epoch_loses_nothing(capture, tmp_path, monkeypatch, capsys, number):
    recipe = small("interhand", capture, both_hands=EPOCH, workers=1)

    def send():
        if number == signal.SIGINT:  # a terminal sends it to all that run there
            for worker in multiprocessing.active_children():
                os.kill(worker.pid, number)
        os.kill(os.getpid(), number)

    at_call(monkeypatch, "training_step", 4, send)
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match="saved after step 4; the same line goes on") as stopped:
        train(recipe, tmp_path)
    assert stopped.value.signal_number == number and signal.getsignal(number) is before
    train(recipe, tmp_path)
    assert "goes on after step 4, " in capsys.readouterr().out
    pictures = len(open_part(recipe.sources[0], "train", clean=True))
    state = torch.load(tmp_path / "interhand/last.ckpt", weights_only=True)
    assert state["global_step"] == 1 + 3 * pictures / 2  # three epochs in all


def test_epochs_are_counted_by_pictures_whatever_the_batch(capture, tmp_path, monkeypatch):
    """Resumed with other batches or on more GPUs, the run ends when it should."""
    recipe = small("interhand", capture, both_hands=EPOCH)
    at_call(monkeypatch, "training_step", 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Stopped, match="saved after step 4"):
        train(recipe, tmp_path)
    train(replace(recipe, optimiser=replace(recipe.optimiser, batch=4)), tmp_path)
    pictures = len(open_part(recipe.sources[0], "train", clean=True))
    state = torch.load(tmp_path / "interhand/last.ckpt", weights_only=True)
    left = 3 * pictures - 4 * 2
    assert state["global_step"] == 1 + 4 + -(-left // 4)
    assert state["epochs"] == pytest.approx(3, abs=8 / pictures)


def test_a_signal_amid_a_validation_stops_too(capture, tmp_path, monkeypatch):
    at_call(monkeypatch, "validation_step", 1, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Stopped, match="before anything was saved; the same line begins anew"):
        train(small("interhand", capture), tmp_path)


KILLED = """
import os, pathlib, signal, sys
from datetime import timedelta
from knuckle.train import run
from knuckle.train.recipe import Recipe

class Killed(run.StopBySignal):
    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 5:  # the checkpoint after this step is not written
            os.kill(os.getpid(), signal.SIGKILL)

run._CHECKPOINT_EVERY = timedelta(0)  # as if two minutes had passed
run.StopBySignal = Killed
run.train(Recipe.load_json(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]))
"""


def test_a_killed_run_goes_on_from_its_last_checkpoint(capture, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("knuckle.train.run._CHECKPOINT_EVERY", timedelta(0))
    recipe = small("interhand", capture, both_hands=EPOCH)
    (tmp_path / "recipe.json").write_text(json.dumps(asdict(recipe)))
    command = [sys.executable, "-c", KILLED, tmp_path / "recipe.json", tmp_path]
    assert subprocess.run(command, timeout=240).returncode == -signal.SIGKILL
    train(recipe, tmp_path)
    assert "goes on after step 4, " in capsys.readouterr().out


def test_a_checkpoint_that_is_not_written_whole_does_not_replace_the_last(tmp_path, monkeypatch):
    def broken(state, path):
        path.write_bytes(b"half")
        raise RuntimeError("unexpected pos 276096")

    path = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"step": 1}, path)
    monkeypatch.setattr("knuckle.train.run.torch.save", broken)
    with pytest.raises(KnuckleError, match="is the disk full"):
        WholeFiles().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
