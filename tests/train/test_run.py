"""A training run: what it leaves behind, and that it goes on where it was."""

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_training_examples import make_sample

from knuckle.data.shards import write_shard
from knuckle.errors import InputError, KnuckleError
from knuckle.models.internet import InterNetSettings
from knuckle.models.keypoints import KeypointSettings
from knuckle.models.lifter import LifterSettings
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.scene import PLAIN, World, render_crops
from knuckle.train.kind import module_of, training_batches, validation_batches
from knuckle.train.kinds.internet import InterNetRecipe
from knuckle.train.kinds.keypoints import KeypointRecipe
from knuckle.train.kinds.lifter import LifterRecipe
from knuckle.train.recipe import AugmentSettings, OptimiserSettings, Recipe, SourceSettings
from knuckle.train.run import _devices, _errors_as_ours, _train_only, start_from, train
from knuckle.train.sitting import StopBySignal
from knuckle.train.weights import load_weights

pytestmark = pytest.mark.usefixtures("few_poses")

LIFTER = LifterRecipe(
    name="small",
    workers=0,
    threads=1,
    lifter=LifterSettings(feature_size=8, width=16, whole_width=64, graph_blocks=1),
    optimiser=OptimiserSettings(minutes=0.01, batch=16),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_leaves_weights_scores_curves_and_its_recipe(folder):
    path = train(LIFTER)
    assert path == folder.relative_to(folder) / "runs/small/weights.pt"
    assert all(torch.isfinite(value).all() for value in load_weights(path).values())
    scores = [json.loads(line) for line in (path.parent / "scores.jsonl").read_text().splitlines()]
    assert scores[-1]["progress"] == pytest.approx(1.0, abs=0.01)
    assert scores[-1]["posed/mm"] > 0
    assert 0 <= scores[-1]["dormant"] < 1
    assert (path.parent / "curves/0/metrics.csv").is_file()
    assert Recipe.load_json(path.parent / "recipe.json") == LIFTER


def test_an_ended_run_is_not_trained_again_but_a_longer_one_goes_on():
    path = train(LIFTER)
    first = torch.load(path.with_name("last.ckpt"), weights_only=False)
    longer = replace(LIFTER, optimiser=replace(LIFTER.optimiser, minutes=0.06))
    train(longer)
    then = torch.load(path.with_name("last.ckpt"), weights_only=False)
    assert first["minutes"] >= 0.005  # and more where a step of a busy machine lasts a second
    assert then["minutes"] >= first["minutes"] + 0.005
    assert then["global_step"] > first["global_step"]
    assert (path.parent / "curves/1/metrics.csv").is_file()  # beside those of the first sitting


def test_a_recipe_whose_network_has_changed_is_told_in_a_sentence():
    train(LIFTER)
    wider = replace(LIFTER, lifter=replace(LIFTER.lifter, width=2 * LIFTER.lifter.width))
    with pytest.raises(InputError, match=r"another network than \S+ began with: \d+ .*--fresh"):
        train(wider)


def test_weights_of_another_kind_are_called_so(folder):
    torch.save({"pair.head.weight": torch.zeros(2)}, folder / "pair.pt")
    recipe = replace(LIFTER, start_lifter=str(folder / "pair.pt"), start_partly=True)
    with pytest.raises(InputError, match="expected weights of lifter, found those of pair: name"):
        start_from(module_of(recipe), recipe)


def test_a_sitting_that_is_cut_short_is_saved_and_goes_on():
    long = replace(LIFTER, optimiser=replace(LIFTER.optimiser, minutes=0.05))
    path = train(long, pause_minutes=0.01)
    first = torch.load(path.with_name("last.ckpt"), weights_only=False)
    assert 0 < first["minutes"] < 0.05  # a step of a busy machine may last a second
    mean, now = first["state_dict"], first["current_model_state"]
    assert any(not torch.equal(mean[name], value) for name, value in now.items())
    train(long)
    then = torch.load(path.with_name("last.ckpt"), weights_only=False)
    assert then["minutes"] >= 0.045
    assert then["global_step"] > first["global_step"]


def test_the_weights_that_are_kept_are_the_mean_that_was_judged():
    weights = train(replace(LIFTER, optimiser=replace(LIFTER.optimiser, average=0.9)))
    state = torch.load(weights.with_name("last.ckpt"), weights_only=True)
    learning, mean = state["current_model_state"], state["state_dict"]
    kept = load_weights(weights)
    assert all(torch.equal(kept[name], value.half().float()) for name, value in mean.items())
    assert any(not torch.equal(mean[name], value) for name, value in learning.items())


def test_a_run_that_diverges_ends_and_leaves_what_was_saved():
    path = train(LIFTER)
    saved = path.read_bytes()
    steep = OptimiserSettings(minutes=0.5, batch=16, rate=1e30, warmup=0.0, clip=0.0)
    with pytest.raises(ValueError, match=r"the loss is .* after step \d+.* lower rate ="):
        train(replace(LIFTER, optimiser=steep))
    assert path.read_bytes() == saved


def test_weights_that_are_no_numbers_are_refused():
    path = train(LIFTER)
    weights = torch.load(path, weights_only=True)
    next(iter(weights.values())).fill_(torch.nan)
    torch.save(weights, path)
    with pytest.raises(ValueError, match=r"weights\.pt: 1 of \d+ weights are no finite numbers"):
        load_weights(path)


@pytest.fixture
def even_clock(monkeypatch):
    """The clock of a training shows a twentieth of a second more at each sight, however busy."""
    sights = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: 0.05 * next(sights))
    monkeypatch.setattr("knuckle.train.modules.time", clock)


@pytest.mark.usefixtures("even_clock")
def test_an_interrupted_run_keeps_what_it_learnt():
    latest = replace(LIFTER.optimiser, average=0.0)  # what is kept is what the last step made
    path = train(replace(LIFTER, optimiser=latest))
    learnt = load_weights(path)
    still = replace(LIFTER, optimiser=replace(latest, minutes=0.015, rate=0.0))
    train(still)
    assert all(torch.equal(value, learnt[name]) for name, value in load_weights(path).items())
    old, scores = path.read_bytes(), path.with_name("scores.jsonl").read_text()
    train(still, fresh=True)
    anew = load_weights(path)
    # What was there is kept whole, and does not judge the new run.
    aside = path.parent / "earlier/0"
    assert (aside / "weights.pt").read_bytes() == old
    assert (aside / "scores.jsonl").read_text() == scores
    assert {"last.ckpt", "recipe.json", "curves"} <= {each.name for each in aside.iterdir()}
    assert len(path.with_name("scores.jsonl").read_text().splitlines()) == 1
    assert [each.name for each in path.parent.glob("curves/*")] == ["0"]
    assert any(not torch.equal(anew[name], value) for name, value in learnt.items())


def test_a_full_disk_is_told_of_in_a_sentence(folder, monkeypatch):
    def full(*_):
        raise RuntimeError("unexpected pos 276096")

    monkeypatch.setattr("knuckle.train.run.torch.save", full)
    with pytest.raises(KnuckleError, match="is the disk full"):
        train(LIFTER, folder / "runs")


def test_only_the_weights_that_are_named_change(folder):
    start = train(LIFTER).rename(folder / "start.pt")
    before = load_weights(start)
    prefix = next(iter(before)).rsplit(".", 1)[0]
    again = replace(
        LIFTER,
        name="again",
        start_lifter=str(start),
        optimiser=replace(LIFTER.optimiser, only=prefix),
    )
    after = load_weights(train(again))
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith(prefix) for name in changed)


def test_norms_of_weights_that_do_not_learn_stay_as_they_are():
    settings = InterNetSettings("lite", input_size=64, map_size=8, width=8, hidden=8)
    module = module_of(InterNetRecipe(name="n", internet=settings))
    _train_only(module, "internet.hands.0")
    before = {k: v.clone() for k, v in module.state_dict().items() if "running" in k}
    for _ in range(2):
        module.eval()
        module.train()  # as after a validation
        module.internet(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    changed = {k for k, v in before.items() if not torch.equal(v, module.state_dict()[k])}
    assert changed and all(name.startswith("internet.hands.0") for name in changed)


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"no weight is named so; there are lifter\."):
        train(replace(LIFTER, optimiser=replace(LIFTER.optimiser, only="lifter.nothing")))


def test_the_keypoint_module_learns_the_crops_that_it_sees(folder):
    """A handful of crops, learnt by heart: every part from the shard to the loss must be right."""
    rng = np.random.default_rng(3)
    plain = replace(PLAIN, size_px=96)
    samples = render_crops(rng, 8, World.of(Backgrounds()), plain)
    (folder / "few").mkdir()
    write_shard(folder / "few/few-00000.tar", samples)
    recipe = KeypointRecipe(
        name="few",
        workers=0,
        sources=(SourceSettings(shards="few"),),
        keypoints=KeypointSettings("imagenet", 64, (16, 16, 16), coarse_blocks=1, feature_size=8),
        lifter=LIFTER.lifter,
        augment=AugmentSettings(shift=0, log_scale=0, angle=0, turned=0, other_side=0, no_hand=0,
                                faults=0, cutout=0),
        optimiser=OptimiserSettings(kind="muon", batch=8, rate=3e-3, frozen_blocks=3),
    )  # fmt: skip
    module = module_of(recipe).train()
    optimiser = module.configure_optimizers()
    totals, batches = [], iter(training_batches(recipe))
    for _ in range(30):
        loss = torch.stack(list(module.losses(next(batches)).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        totals.append(float(loss.detach()))
    assert np.mean(totals[-5:]) < 0.6 * np.mean(totals[:3])


def test_scores_that_the_labels_cannot_tell_are_left_out(folder):
    rng = np.random.default_rng(3)
    drawn = render_crops(rng, 4, World.of(Backgrounds()), replace(PLAIN, size_px=96))
    whole = [replace(sample, key=f"k{i}", group="") for i, sample in enumerate(drawn)]
    in_2d = [
        replace(
            sample,
            hand_map=None,
            hands=tuple(replace(hand, joints_mm=None, visible=None) for hand in sample.hands),
        )
        for sample in whole
    ]
    told = {}
    for name, samples in (("whole", whole), ("in_2d", in_2d)):
        (folder / name).mkdir()
        write_shard(folder / f"{name}/few-00000.tar", samples)
        recipe = KeypointRecipe(
            name=name,
            workers=0,
            sources=(SourceSettings(shards=name),),
            keypoints=KeypointSettings(
                "imagenet", 64, (16, 16, 16), coarse_blocks=1, feature_size=8
            ),
            lifter=LIFTER.lifter,
            augment=AugmentSettings(no_hand=0),
            optimiser=OptimiserSettings(batch=4),
        )
        module = module_of(recipe).eval()
        told[name] = set(module.known_scores(next(iter(training_batches(recipe)))))
    assert told["whole"] - told["in_2d"] >= {"mm", "depth", "mask_miss"}
    assert "has_neighbour" in told["whole"] and "neighbour" not in told["whole"]  # there is none
    assert told["in_2d"] >= {"share_2d", "wrong_presence"}


def test_two_processes_train_one_network_and_stop_together(folder):
    (folder / "two.toml").write_text(
        "kind = 'lifter'\nname = 'two'\nworkers = 0\nthreads = 1\ndevices = 2\n"
        "validate_minutes = 0.01\n"
        "[lifter]\nfeature_size = 8\nwidth = 16\nwhole_width = 64\ngraph_blocks = 1\n"
        "[optimiser]\nminutes = 0.03\nbatch = 16\n"
    )
    # Its own interpreter: the second process is started with the command line of the first.
    command = [sys.executable, "-m", "knuckle", "train", "two.toml"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("weights.pt") == 1  # only the first one speaks
    lines = (folder / "runs/two/scores.jsonl").read_text().splitlines()
    progress = [json.loads(line)["progress"] for line in lines]
    assert len(progress) >= 2  # validated under way
    assert progress[-1] == pytest.approx(1.0, abs=0.01)
    assert all(
        torch.isfinite(v).all() for v in load_weights(folder / "runs/two/weights.pt").values()
    )


LOST = """
import os, sys, torch
from knuckle.cli import main
from knuckle.train.kinds.lifter import LifterModule

losses = LifterModule.losses
def lost(module, batch):
    off = float("nan") if module.global_rank and module.trainer.global_step == 3 else 0.0
    return {name: value + off for name, value in losses(module, batch).items()}
LifterModule.losses = lost
sys.exit(main(sys.argv[1:]))
"""


def test_a_loss_that_is_lost_in_one_process_ends_the_run_in_all(folder):
    """The first process, whose own loss is a number, must not learn from the others' gradients."""
    (folder / "lost.toml").write_text(
        "kind = 'lifter'\nname = 'lost'\nworkers = 0\nthreads = 1\ndevices = 2\n"
        "[lifter]\nfeature_size = 8\nwidth = 16\nwhole_width = 64\ngraph_blocks = 1\n"
        "[optimiser]\nminutes = 2\nbatch = 16\n"
    )
    (folder / "lost.py").write_text(LOST)
    done = subprocess.run(
        [sys.executable, "lost.py", "train", "lost.toml"], capture_output=True, text=True,
        timeout=240, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode != 0
    assert "after step 3, from which nothing can be learnt" in done.stderr, done.stderr[-2000:]


def test_a_checkpoint_runs_no_program(folder):
    class Program:
        def __reduce__(self):
            return (print, ("run",))

    run = folder / "runs" / LIFTER.name
    run.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {}, "x": Program()}, run / "last.ckpt")
    with pytest.raises(KnuckleError, match=r"last\.ckpt is damaged or not .*--fresh"):
        train(LIFTER)


def test_sources_of_one_name_are_validated_apart(tmp_path):
    for folder in ("a/few", "b/few"):
        keys = [f"k{i}" for i in range(60)]  # one in twenty is held back
        samples = [replace(make_sample(), key=key) for key in keys]
        write_shard(tmp_path / folder / "few-00000.tar", samples)
    recipe = KeypointRecipe(
        name="two",
        sources=tuple(SourceSettings(shards=str(tmp_path / f)) for f in ("a/few", "b/few")),
    )
    assert list(validation_batches(recipe)) == ["few", "b/few"]


@pytest.mark.parametrize(("gpus", "found"), [(0, "no GPU, and 2 processors"), (4, "4 GPUs")])
def test_more_devices_than_there_are_is_told(
    gpus: int, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert _devices(0) == max(gpus, 1)
    assert _devices(2) == 2
    with pytest.raises(InputError, match=f"devices = 7 in the recipe: this machine has {found}"):
        _devices(7)


class _Killed(torch.utils.data.Dataset):
    """Each process that loads from it is killed, as the system does where memory is short."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_that_loads_is_told_in_a_sentence(tmp_path):
    loader = torch.utils.data.DataLoader(_Killed(), num_workers=1)
    told = r"ended before its time \(DataLoader worker .*\), .*: set fewer workers .* checkpoint$"
    with (
        pytest.raises(KnuckleError, match=told),
        _errors_as_ours(StopBySignal(tmp_path / "last.ckpt")),
    ):
        next(iter(loader))


def test_other_errors_stay_what_they_are(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"^shapes differ$"),
        _errors_as_ours(StopBySignal(tmp_path / "last.ckpt")),
    ):
        raise RuntimeError("shapes differ")


def test_a_signal_is_answered_at_once_and_by_one_process(tmp_path, capfd):
    stop = StopBySignal(tmp_path / "last.ckpt")
    try:
        loads = multiprocessing.get_context("fork").Process(target=stop.hear, args=(2, None))
        loads.start()
        loads.join()
        assert loads.exitcode == 0
        assert capfd.readouterr().err == ""
        stop.hear(signal.SIGINT, None)
        stop.hear(signal.SIGTERM, None)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    told = "\nknuckle: saves and stops after this step; Ctrl-C again: at once\n"
    assert capfd.readouterr().err == told
