"""The commands of docs/interhand.md run as they are printed, on a few pictures for a moment."""

import re
import shutil
import warnings
from pathlib import Path

import pytest
import torch

from knuckle.cli import main
from knuckle.cli.verb import EXIT_ERROR
from knuckle.models.both import BothHands
from knuckle.models.internet import InterNet
from knuckle.train.recipe import Recipe

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/interhand.md").read_text()
NETWORKS = ("internet", "interhand")
COMMANDS = re.findall(r"^    knuckle (.+)$", DOC, re.M)
RECIPES = sorted({word for line in COMMANDS for word in line.split() if word.endswith(".toml")})
#: Each recipe with networks that a test can afford; a section's own values are left out.
SMALL = {
    "internet": 'backbone = "lite"\ninput_size = 64\nmap_size = 16\nwidth = 8\nhidden = 8\n',
    "both": "input_size = 64\nwidths = [16, 16, 16]\nfeature_size = 4\nwidth = 16\nblocks = 1\n",
}


def shrink(text: str) -> str:
    """A recipe with small networks, two pictures a batch, and a moment's time."""
    text = re.sub(r"^workers = .*", "workers = 0\nthreads = 1", text, flags=re.M)
    text = re.sub(r"^(batch|minutes) = .*\n", "", text, flags=re.M)
    text = re.sub(r"^(epochs|drops) = .*\n", "", text, flags=re.M)
    text = text.replace("[optimiser]\n", "[optimiser]\nbatch = 2\nminutes = 0.01\n")
    text = text.replace("[both_hands]\n", "[both_hands]\nvalidate_pictures = 2\n")
    text = re.sub(r"^validate_pictures = \d{3}\n", "", text, flags=re.M)
    text = text.replace("src/knuckle/weights", str(ROOT / "src/knuckle/weights"))
    section = "internet" if 'kind = "internet"' in text else "both"
    text = re.sub(rf"^\[{section}\]\n(.+\n)*", "", text, flags=re.M)
    return text + f"\n[{section}]\n{SMALL[section]}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interhand")
    (folder / "recipes").mkdir()
    for recipe in RECIPES:
        (folder / recipe).write_text(shrink((ROOT / recipe).read_text()))
        Recipe.load(folder / recipe)
    few = ["--frames", "16", "--cameras", "2", "--subjects", "3", "--no-depth"]
    assert main(["data", "synth", str(folder / "made"), *few]) == 0
    shutil.copytree(folder / "made", folder / "InterHand2.6M")
    (folder / "InterHand2.6M" / "capture_5fps.json").unlink()  # as if it were the real one
    return folder


def test_the_documented_commands_run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for command in COMMANDS:
        words = command.split()
        if words[:2] == ["data", "synth"]:  # 20,000 pictures are for another day
            shutil.copytree(folder / "made", folder / words[2])
            continue
        assert main(words) == 0, command
        said = capsys.readouterr().out
        if words[0] == "train":
            assert "MPJPE" in said
            assert ("CC-BY-NC-4.0" in said) == ("InterHand2.6M" in words), command
        if words[0] == "evaluate":
            assert said.count("handedness_accuracy") == (2 if "both" in words else 1)


def test_the_networks_are_as_large_as_the_table_says():
    internet, both = (Recipe.load(ROOT / f"recipes/{name}.toml") for name in NETWORKS)
    with torch.device("meta"):  # which draws no numbers
        networks = InterNet(internet.internet), BothHands(both.both)
    sizes = [sum(w.numel() for w in network.parameters()) / 1e6 for network in networks]
    said = re.search(r"weights \| ([\d.]+) million \(paper: 47\) \| ([\d.]+) million", DOC)
    assert [f"{size:.1f}" for size in sizes] == list(said.groups())


def test_every_command_runs_on_real_frames(folder, shared_data, tmp_path, monkeypatch, capsys):
    """Four frames of four people, all of the test split; their file names have no folders."""
    real = str(shared_data / "interhand26m_sample")
    shutil.copytree(folder / "recipes", tmp_path / "recipes")
    shutil.copytree(folder / "made", tmp_path / "runs/varied")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "recipes/interhand.toml", "--data", real]) == EXIT_ERROR
    assert "has no split train" in (said := capsys.readouterr().err) and "70/15/15" in said
    dealt = ["--data", real, "--split", "70/15/15"]
    small = ["interhand", "internet_small", "interhand_mixed"]  # the last goes on from the first
    for name in small:
        assert main(["train", f"recipes/{name}.toml", *dealt]) == 0
        said = capsys.readouterr().out
        assert "under CC-BY-NC-4.0" in said and "interhand26m_sample" in said
        columns = 2 if name == "interhand_mixed" else 1
        assert re.search(r"^MPJPE, mm( +[\d.]+){%d}$" % columns, said, re.M)  # noqa: UP031
        assert main(["export", f"runs/{name}", "--output", f"onnx/{name}"]) == 0
    moon = [real, "--protocol", "moon"]
    for system in ("runs/interhand", "onnx/interhand/both.onnx", "onnx/internet_small"):
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*CC-BY-NC-4.0")  # said to whoever asks
            assert main(["evaluate", system, *moon, "--split", "both"]) == 0
        said = capsys.readouterr().out
        assert said.count("split ") >= 2 and said.count("handedness_accuracy") == 2
    capsys.readouterr()
    for verb in (["check"], ["stats"], ["split"], ["show"], ["pack"]):
        more = ["shards"] if verb == ["pack"] else []
        assert main(["data", *verb, real, *more]) == 0


def test_labels_without_pictures_are_told_before_training(folder, shared_data, tmp_path, capsys):
    for name in ("data", "camera", "joint_3d"):
        shutil.copy(
            shared_data / "interhand26m_sample" / f"test_interhand2.6m_{name}.json", tmp_path
        )
    command = ["train", str(folder / "recipes/interhand.toml"), "--split", "70/15/15", "--data"]
    assert main([*command, str(tmp_path), "--runs", str(tmp_path / "runs")]) == EXIT_ERROR
    said = capsys.readouterr().err
    assert "not their pictures" in said and "without the folders of capture" in said
    assert said.count("\n") == 1


def test_every_recipe_of_both_hands_is_documented_and_valid():
    ours = list((ROOT / "recipes").glob("inter*.toml"))
    assert {f"recipes/{path.name}" for path in ours} == set(RECIPES)
    for path in ours:
        assert Recipe.load(path).kind in ("internet", "interhand")


def test_what_goes_on_from_a_run_has_its_network():
    first, mixed = (Recipe.load(ROOT / f"recipes/interhand{end}.toml") for end in ("", "_mixed"))
    assert mixed.start_both == f"runs/{first.name}/weights.pt"
    assert mixed.both == first.both
