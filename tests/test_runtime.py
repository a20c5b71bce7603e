"""A network is checked when it is opened, so that a wrong file cannot give wrong hands."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.helper import set_model_props

from dot_world import DotNetworks
from knuckle.codec import NOWHERE_PX
from knuckle.stages import Network, needed, weights_folder


@pytest.fixture
def keypoints_file(dot_weights: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    path = tmp_path / "keypoints.onnx"
    path.write_bytes((dot_weights / "keypoints.onnx").read_bytes())
    return path


@pytest.mark.parametrize("kind", needed())
def test_networks_say_what_they_are(dot_weights: Path, kind: str) -> None:
    network = Network(dot_weights / f"{kind}.onnx", kind)
    assert network.card == DotNetworks().card(kind)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_is_run(dot_weights: Path, batch: int) -> None:
    network = Network(dot_weights / "keypoints.onnx", "keypoints")
    nobody = np.full((batch, 21, 2), NOWHERE_PX, np.float32)
    found = network(crop=np.zeros((batch, 128, 128, 3), np.uint8), known_px=nobody)
    assert found["keypoints_px"].shape == (batch, 21, 2)
    assert found["mask"].shape == (batch, 64, 64)
    assert network.input_shape("crop") == (None, 128, 128, 3)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_the_result(dot_weights: Path, threads: int) -> None:
    crop = np.random.default_rng(0).integers(0, 255, (1, 128, 128, 3)).astype(np.uint8)
    asked = {"crop": crop, "known_px": np.full((1, 21, 2), NOWHERE_PX, np.float32)}
    one = Network(dot_weights / "keypoints.onnx", "keypoints", threads=1)(**asked)
    many = Network(dot_weights / "keypoints.onnx", "keypoints", threads=threads)(**asked)
    np.testing.assert_allclose(one["keypoints_px"], many["keypoints_px"], atol=1e-3)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"lifter\.onnx does not exist; point weights_dir"):
        Network(tmp_path / "lifter.onnx", "lifter")


@pytest.mark.parametrize("content", [b"", b"this is no network", bytes(range(256)) * 10])
def test_not_a_network(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "detector.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"detector\.onnx is not an ONNX network"):
        Network(path, "detector")


def test_cut_off_file(keypoints_file: Path) -> None:
    keypoints_file.write_bytes(keypoints_file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is not an ONNX network"):
        Network(keypoints_file, "keypoints")


def test_network_of_somebody_else(keypoints_file: Path) -> None:
    model = onnx.load(keypoints_file)
    del model.metadata_props[:]
    onnx.save(model, keypoints_file)
    with pytest.raises(ValueError, match="is not a network exported by this Knuckle"):
        Network(keypoints_file, "keypoints")


def test_network_of_another_kind(keypoints_file: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a lifter network, .* holds a keypoints"):
        Network(keypoints_file, "lifter")


def test_outputs_that_are_not_what_the_card_says(keypoints_file: Path) -> None:
    keypoints_file.write_bytes(DotNetworks(features=5).keypoints())
    model = onnx.load(keypoints_file)
    set_model_props(model, DotNetworks(features=3).card("keypoints").to_metadata())
    onnx.save(model, keypoints_file)
    with pytest.raises(ValueError, match=r"output 'features' .* must be float32 \(\*, 21, 3\)"):
        Network(keypoints_file, "keypoints")


def test_a_fixed_batch_is_refused(keypoints_file: Path) -> None:
    model = onnx.load(keypoints_file)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, keypoints_file)
    with pytest.raises(ValueError, match="with a free batch axis"):
        Network(keypoints_file, "keypoints")


def test_a_missing_output_is_named(keypoints_file: Path) -> None:
    model = onnx.load(keypoints_file)
    kept = [item for item in model.graph.output if item.name != "visible"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    onnx.save(model, keypoints_file)
    with pytest.raises(ValueError, match="has no output 'visible'"):
        Network(keypoints_file, "keypoints")


def test_weights_come_from_the_package_unless_told(tmp_path: Path) -> None:
    assert weights_folder(tmp_path) == tmp_path
    assert weights_folder(None).parts[-2:] == ("knuckle", "weights")
