"""Quantised networks are exact where it counts, integer where they say so, and whole beneath."""

from importlib import resources
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from knuckle.cli import main
from knuckle.export import export
from knuckle.quantise import QuantiseSettings, change, quantise, quantised
from knuckle.rounding import plain
from knuckle.train.weights import load_weights
from knuckle.video import open_source
from test_export import save_run


def convolution(weight, bias, activation=None):
    """A graph that normalises nothing: one convolution, then perhaps an activation."""
    pads = [weight.shape[-1] // 2] * 4
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="/part/Conv", pads=pads)]
    if activation:
        nodes.append(helper.make_node(activation, ["c"], ["a"], name="/part/Act"))
    nodes.append(helper.make_node("Neg", ["a" if activation else "c"], ["y"], name="/end/Neg"))
    shape = ["n", weight.shape[1], 8, 8]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "one",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def dense(weight, bias):
    """A graph of one dense layer."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["c"], name="/part/Gemm", transB=1),
        helper.make_node("Neg", ["c"], ["y"], name="/end/Neg"),
    ]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "one",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weight.shape[1]])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def answers(graph, batches):
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return [session.run(None, batch) for batch in batches]


def operators(graph, folder):
    """Of the graph that ONNX Runtime really runs."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "run.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


@given(
    seed=st.integers(0, 1000),
    kernel=st.sampled_from([1, 3]),
    activation=st.sampled_from([None, "Relu"]),
    size=st.floats(0.01, 100.0),
)
@settings(max_examples=25, deadline=None)
def test_a_rounded_convolution_stays_within_its_steps(seed, kernel, activation, size):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(6, 4, kernel, kernel)).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)
    graph = convolution(weight, bias, activation)
    x = (size * rng.normal(size=(3, 4, 8, 8))).astype(np.float32)
    result = quantised(graph, [{"x": x}], [{"x": x}], QuantiseSettings(0.5))
    assert result.parts == ("part",)
    exact, rounded = answers(graph, [{"x": x}])[0][0], answers(result.graph, [{"x": x}])[0][0]
    # Half a step of every input and of every weight, summed over all products, and one of the sum.
    step_x, steps_w = np.ptp(x) / 255, np.abs(weight).max(axis=(1, 2, 3)) / 63
    products = np.abs(weight).sum(axis=(1, 2, 3)) * step_x / 2
    products += 4 * kernel**2 * (np.abs(x).max() + step_x) * steps_w / 2
    allowed = products + np.ptp(exact) / 255 + 1e-3 * size
    assert (np.abs(rounded - exact).max(axis=(0, 2, 3)) <= allowed).all()


@given(seed=st.integers(0, 1000), size=st.floats(0.01, 100.0))
@settings(max_examples=25, deadline=None)
def test_a_rounded_dense_layer_stays_within_its_steps(seed, size):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(513, 512)).astype(np.float32)
    bias = rng.normal(size=513).astype(np.float32)
    x = (size * rng.normal(size=(2, 512))).astype(np.float32)
    result = quantised(dense(weight, bias), [{"x": x}], [{"x": x}], QuantiseSettings(0.5))
    assert result.parts == ("part",)
    exact, rounded = x @ weight.T + bias, -answers(result.graph, [{"x": x}])[0][0]
    # Half a step of every input and of every weight, summed over all products.
    step_x, steps_w = np.ptp(x) / 255, np.abs(weight).max(axis=1) / 63
    allowed = np.abs(weight).sum(axis=1) * step_x / 2
    allowed += 512 * (np.abs(x).max() + step_x) * steps_w / 2
    assert (np.abs(rounded - exact) <= allowed + 1e-3 * size + 1e-4).all()


def test_what_a_dense_layer_says_is_not_rounded(tmp_path):
    """It is multiplied in integers, and its sums are numbers again."""
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(512, 512)).astype(np.float32)
    graph, batch = dense(weight, np.zeros(512, np.float32)), {"x": rng.random((1, 512), np.float32)}
    result = quantised(graph, [batch], [batch], QuantiseSettings(0.5)).graph
    run = operators(result, tmp_path)
    assert "QGemm" in run and "Gemm" not in run
    assert run.count("QuantizeLinear") == 1 and "DequantizeLinear" not in run


def test_a_channel_without_weights_keeps_its_bias():
    """Its scale would be nothing, and 32 bits would not hold its bias in such steps."""
    weight = np.zeros((2, 1, 1, 1), np.float32)
    weight[0] = 1.0
    graph = convolution(weight, np.array([0.0, 3.0], np.float32))
    x = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)
    result = quantised(graph, [{"x": x}], [{"x": x}], QuantiseSettings(0.5))
    np.testing.assert_allclose(answers(result.graph, [{"x": x}])[0][0][0, 1], -3.0, atol=0.05)


def exported(tmp_path, kind="keypoints"):
    paths = export(save_run(tmp_path / "run", kind), tmp_path / "out")
    return next(path for path in paths if path.stem == kind)


def looks(count):
    rng = np.random.default_rng(3)
    return [
        {
            "crop": rng.integers(0, 256, (1, 64, 64, 3), np.uint8),
            "known_px": rng.uniform(0, 64, (1, 21, 2)).astype(np.float32),
        }
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantised")
    path = exported(folder)
    graph = onnx.load(str(path))
    return path, graph, quantised(graph, looks(4), looks(3), QuantiseSettings(0.3))


def test_onnx_runtime_computes_in_integers(network, tmp_path):
    _, graph, result = network
    convolutions = [
        node
        for node in graph.graph.node
        if node.op_type == "Conv" and "/".join(node.name.split("/")[1:-1][:3]) in result.parts
    ]
    assert len(result.parts) >= 5
    made = operators(result.graph, tmp_path)
    assert made.count("QLinearConv") == len(convolutions)
    # Nothing is left to do each time that could have been done once.
    assert "Round" not in made


def test_outputs_change_by_what_is_said_and_allowed(network):
    _, graph, result = network
    said = change(answers(graph, looks(3)), answers(result.graph, looks(3)))
    assert 0 < said == pytest.approx(result.change, rel=1e-3) and said <= 0.3


def test_what_may_change_nothing_stays_as_it_was(network):
    _, graph, _ = network
    nothing = quantised(graph, looks(4), looks(3), QuantiseSettings(1e-12))
    assert nothing.change == 0 and answers(nothing.graph, looks(1))[0][0].tolist() == (
        answers(graph, looks(1))[0][0].tolist()
    )


def test_the_network_beneath_is_whole(network, tmp_path):
    path, graph, result = network
    assert plain(result.graph).SerializeToString() == graph.SerializeToString()
    onnx.save(result.graph, str(tmp_path / "keypoints.onnx"))
    before, after = load_weights(path), load_weights(tmp_path / "keypoints.onnx")
    assert before.keys() == after.keys()
    for name, values in before.items():
        torch.testing.assert_close(after[name], values, atol=0, rtol=0)


@pytest.fixture
def weights():
    return Path(str(resources.files("knuckle") / "weights"))


@pytest.fixture
def hand_pictures(tmp_path):
    """Some frames of the shipped clip."""
    folder = tmp_path / "pictures" / "more"
    folder.mkdir(parents=True)
    with open_source(str(resources.files("knuckle.demo") / "hands.mp4")) as frames:
        for frame in islice(frames, 0, 40, 10):
            cv2.imwrite(str(folder / f"{frame.index}.png"), frame.image[..., ::-1])
    return folder.parent


def test_the_shipped_networks_by_the_command(tmp_path, capsys, weights, hand_pictures):
    assert main(["quantise", str(weights), "--pictures", str(hand_pictures), "--output",
                 str(tmp_path / "out"), "--count", "3"]) == 0  # fmt: skip
    said = capsys.readouterr().out
    for kind in ("detector", "keypoints", "lifter"):
        assert f"{kind}.onnx" in said
        made = onnx.load(str(tmp_path / "out" / f"{kind}.onnx"))
        card = {item.key: item.value for item in made.metadata_props}
        assert card == {
            item.key: item.value for item in onnx.load(str(weights / f"{kind}.onnx")).metadata_props
        }
    assert not (tmp_path / "out" / "pair.onnx").exists()  # its layers are small


def test_pictures_without_hands_are_refused(tmp_path, weights):
    blank = [np.zeros((64, 64, 3), np.uint8)] * 3
    with pytest.raises(ValueError, match="pictures of hands"):
        quantise(weights, blank, tmp_path, QuantiseSettings())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "says"),
    [("--most-change=0", "between 0 and 1"), ("--count=1", "at least 2"), ("", "holds no images")],
)
def test_what_cannot_be_is_said(tmp_path, capsys, weights, argument, says):
    flags = [argument] if argument else []
    assert main(["quantise", str(weights), f"--pictures={tmp_path}", *flags]) == 2
    assert says in capsys.readouterr().err
