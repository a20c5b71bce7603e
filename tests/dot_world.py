"""A world whose hands are 21 coloured dots, and networks that read it exactly.

Every joint is painted as a dot whose hue says which joint it is and whose blue says how much
farther from the camera than the wrist it is. Small ONNX files that obey the contract of the real
networks find the dots by plain arithmetic. So crops, mirroring, cameras, placement and tracking are
tested end to end against exact truth, without trained weights.

The hue is a point on a circle in the red-green plane around grey: blends of a dot with the
background lie inside the circle and are taken for no joint. Blue below 128 marks the dots of right
hands, above of left ones. A 22nd dot beside the wrist makes a hand chiral: on the thumb's side,
seen from the back. A left hand is painted as the mirror image of a right one, so that a mirrored
crop of it shows a right hand, as with real hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from knuckle.camera import Camera
from knuckle.hand import BONES, KNUCKLES, MEAN_LENGTHS_MM, N_JOINTS, Joint, Side, bone_lengths
from knuckle.modelcard import ModelCard
from knuckle.results import HandPose
from knuckle.track.skeleton import joints_from_bones

GREY = 128
N_DOTS = N_JOINTS + 1
_HUES = 2 * np.pi * np.arange(N_DOTS) / N_DOTS
#: (22, 2) red and green of each dot.
CODES = np.round(GREY + 110 * np.stack([np.cos(_HUES), np.sin(_HUES)], axis=1)).astype(np.float32)
_REACH = 14.0  # colours this far from a code are no longer it
_MM_PER_LEVEL = 2.0
_BLUE = {"right": 64, "left": 192}

#: Flat right hand seen from its back, fingers up: (5, 3) bases of the fingers from the wrist, mm.
_BASES = np.array([[-28, -28, 6], [-26, -88, 0], [-5, -90, 0], [15, -84, 0], [33, -75, 0]], float)
_PHALANGES = np.array([[42, 32, 27], [40, 25, 20], [44, 28, 21], [41, 27, 21], [33, 20, 18]], float)
_SPREAD = np.radians([-42, -8, -1, 6, 13])
#: Length of the bone by which the lifter of this world knows the scale.
PALM_MM = float(np.linalg.norm(_BASES[2]))


def right_hand_mm(flexion_deg: np.ndarray) -> np.ndarray:
    """(5, 3) flexion of the phalanges -> (21, 3) right hand, back to the camera, wrist at 0."""
    joints = np.zeros((N_JOINTS, 3))
    total = np.radians(np.cumsum(flexion_deg, axis=1))
    for finger in range(5):
        place = _BASES[finger]
        joints[1 + 4 * finger] = place
        for k in range(3):
            straight = np.cos(total[finger, k])
            direction = np.array(
                [
                    np.sin(_SPREAD[finger]) * straight,
                    -np.cos(_SPREAD[finger]) * straight,
                    np.sin(total[finger, k]),
                ]
            )
            place = place + direction * _PHALANGES[finger, k]
            joints[2 + 4 * finger + k] = place
    return joints


def turn(in_plane_deg: float = 0.0, tilt_deg: float = 0.0, pan_deg: float = 0.0) -> np.ndarray:
    """(3, 3) rotation: tilt about x, then pan about y, then a turn in the picture, clockwise."""
    a, b, c = np.radians([in_plane_deg, tilt_deg, pan_deg])
    about_z = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    about_y = [[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def true_hand(
    camera: Camera,
    root_mm: Sequence[float],
    *,
    side: Side = "right",
    rotation: np.ndarray | None = None,
    flexion_deg: np.ndarray | float = 10.0,
) -> HandPose:
    """A hand of this world, fully known."""
    joints = right_hand_mm(np.broadcast_to(np.asarray(flexion_deg, float), (5, 3)))
    joints = joints @ (np.eye(3) if rotation is None else rotation).T
    if side == "left":
        joints = joints * (-1.0, 1.0, 1.0)
    joints_mm = joints + np.asarray(root_mm, float)
    return HandPose(
        side=side,
        side_score=1.0,
        score=1.0,
        joints_px=camera.project(joints_mm),
        joints_mm=joints_mm,
        joint_score=np.ones(N_JOINTS),
        visible=np.ones(N_JOINTS, bool),
        joint_sigma_mm=np.zeros(N_JOINTS),
        camera=camera,
    )


def of_mean_proportions(hand: HandPose) -> HandPose:
    """The same pose of a hand whose bones the causal filter leaves as they are."""
    bones = hand.joints_mm[BONES[:, 1]] - hand.joints_mm[BONES[:, 0]]
    joints_mm = hand.root_mm + joints_from_bones(bones, MEAN_LENGTHS_MM)
    return replace(hand, joints_mm=joints_mm, joints_px=hand.camera.project(joints_mm))


def mirrored(hand: HandPose, width: int) -> HandPose:
    """The same hand in the mirrored picture: the other side, seen by the mirrored camera."""
    return replace(
        hand,
        side="left" if hand.side == "right" else "right",
        joints_px=hand.joints_px * (-1, 1) + (width - 1, 0),
        joints_mm=hand.joints_mm * (-1, 1, 1),
        camera=replace(hand.camera, cx=width - 1 - hand.camera.cx),
    )


def blank(width: int = 320, height: int = 240, grey: int = GREY) -> np.ndarray:
    return np.full((height, width, 3), grey, np.uint8)


def paint(image: np.ndarray, hands: Sequence[HandPose]) -> np.ndarray:
    """A copy of the image with the hands on it, the first one lowest."""
    canvas = image.astype(np.float32)
    for hand in hands:
        points = hand.joints_px
        radius = max(3.2, 0.032 * float(np.ptp(points, axis=0).max()))
        for dot, (x, y) in enumerate(np.concatenate([points, _marker_px(hand)[None]])):
            _paint_dot(canvas, x, y, radius, _colour(hand, dot))
    return np.round(canvas).astype(np.uint8)


def _marker_px(hand: HandPose) -> np.ndarray:
    """Beside the wrist, a quarter of the palm's length to the thumb's side seen from the back."""
    wrist = hand.joints_px[Joint.WRIST]
    x, y = (hand.joints_px[KNUCKLES].mean(axis=0) - wrist) * 0.3
    return wrist + (np.array([y, -x]) if hand.side == "right" else np.array([-y, x]))


def _colour(hand: HandPose, dot: int) -> np.ndarray:
    distance = np.linalg.norm(hand.joints_mm, axis=1)
    farther = distance[dot] - distance[Joint.WRIST] if dot < N_JOINTS else 0.0
    blue = _BLUE[hand.side] + np.clip(farther / _MM_PER_LEVEL, -60, 60)
    return np.array([*CODES[dot], blue], np.float32)


def _paint_dot(canvas: np.ndarray, x: float, y: float, radius: float, colour: np.ndarray) -> None:
    height, width = canvas.shape[:2]
    x0, x1 = max(int(x - radius - 2), 0), min(int(x + radius + 3), width)
    y0, y1 = max(int(y - radius - 2), 0), min(int(y + radius + 3), height)
    if x0 >= x1 or y0 >= y1:
        return
    ys, xs = np.mgrid[y0:y1, x0:x1]
    cover = np.clip(radius + 0.5 - np.hypot(xs - x, ys - y), 0, 1)[..., None].astype(np.float32)
    canvas[y0:y1, x0:x1] += cover * (colour - canvas[y0:y1, x0:x1])


@dataclass(frozen=True)
class DotNetworks:
    """How the networks of this world are made.

    Attributes:
        crop_size, frame_size: of their inputs, px.
        swap_sides: the detector takes every left hand for a right one and the other way round.
        features: channels of the keypoint network's features, at least 2.
        sigma_px: error that the keypoint network expects of dots that it sees, crop px.
    """

    crop_size: int = 128
    frame_size: int = 256
    swap_sides: bool = False
    features: int = 3
    sigma_px: float = 0.3

    def write(self, folder: Path) -> Path:
        """Write the three networks into a folder; returns it."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "keypoints.onnx").write_bytes(self.keypoints())
        (folder / "lifter.onnx").write_bytes(self.lifter())
        (folder / "detector.onnx").write_bytes(self.detector())
        return folder

    def card(self, kind: str) -> ModelCard:
        sizes = {"detector": self.frame_size, "keypoints": self.crop_size, "lifter": 0}
        features = 0 if kind == "detector" else self.features
        return ModelCard(kind, "dots", input_size=sizes[kind], feature_size=features)

    def keypoints(self) -> bytes:
        g = Graph()
        size, n_out = self.crop_size, self.features
        likeness, blue = _likeness(g, g.input("crop", TensorProto.UINT8, [size, size, 3]), N_DOTS)
        g.input("known_px", TensorProto.FLOAT, [N_JOINTS, 2])  # dots are never mistaken
        is_right = g.cast(g("Less", blue, g.const(128.0)))  # (N, 1, S, S)
        right_dots = g("Mul", likeness, is_right)
        left_dots = g("Sub", likeness, right_dots)
        # Whose dots lie in the middle of the crop: that hand is meant.
        place = np.arange(size) - (size - 1) / 2
        window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * (size / 5) ** 2))[None, None]
        masses = [
            g.sum(g("Mul", dots, g.const(window)), [1, 2, 3]) for dots in (right_dots, left_dots)
        ]
        dots = g("Where", g("GreaterOrEqual", *masses), right_dots, left_dots)  # (N, 22, S, S)
        base = g("Where", g("GreaterOrEqual", *masses), *(g.const(_BLUE[s]) for s in _BLUE))

        mass = g.sum(dots, [2, 3], keep=False)  # (N, 22)
        found = g.cast(g("Greater", mass, g.const(1.0)))
        safe = g("Max", mass, g.const(1e-3))
        x = g("Div", g.sum(g("Mul", dots, g.const(np.arange(size)[None, :])), [2, 3], False), safe)
        y = g("Div", g.sum(g("Mul", dots, g.const(np.arange(size)[:, None])), [2, 3], False), safe)
        middle = g.const((size - 1) / 2)
        x, y = (g.mix(found, v, middle) for v in (x, y))
        points = g("Concat", g.unsqueeze(x, 2), g.unsqueeze(y, 2), axis=2)  # (N, 22, 2)
        blue_mean = g("Div", g.sum(g("Mul", dots, blue), [2, 3], False), safe)
        farther = g("Mul", g("Sub", blue_mean, g.reshape(base, [0, 1])), g.const(_MM_PER_LEVEL))
        farther = g("Mul", farther, found)

        joints = slice(0, N_JOINTS)
        g.output("keypoints_px", g.slice(points, joints), [N_JOINTS, 2])
        seen = g.slice(found, joints)
        g.output("sigma_px", g.mix(seen, g.const(self.sigma_px), g.const(20.0)), [N_JOINTS])
        g.output("visible", g.mix(seen, g.const(0.99), g.const(0.01)), [N_JOINTS])
        g.output("presence", g.mean(seen, [1]), [])
        g.output("right", g("Sigmoid", _chirality(g, points, found)), [])
        # Dots of two hands in one crop are taken for one: no mask says that it goes on beyond it.
        inner = np.pad(np.ones((size - 10, size - 10)), 5)[None, None]
        shown = g("Mul", g("ReduceMax", dots, g.ints([1]), keepdims=1), g.const(inner))
        wide = g("MaxPool", shown, kernel_shape=[6, 6], strides=[2, 2], pads=[2, 2, 2, 2])
        g.output("mask", g.reshape(wide, [0, size // 2, size // 2]), [size // 2, size // 2])
        columns = [g.unsqueeze(g.slice(v, joints), 2) for v in (farther, found)]
        columns += [columns[1]] * (n_out - 2)
        g.output("features", g("Concat", *columns, axis=2), [N_JOINTS, n_out])
        nothing = g.const(np.zeros((1, 6), np.float32))  # every hand of this world stands alone
        g.output("neighbour", g("Mul", g.slice(found, slice(0, 6)), nothing), [6])
        return g.serialize(self.card("keypoints"))

    def lifter(self) -> bytes:
        """Exact: from the rays, the differences in distance, and the length of one bone."""
        g = Graph()
        rays = g.input("rays", TensorProto.FLOAT, [N_JOINTS, 2])
        g.input("sigma", TensorProto.FLOAT, [N_JOINTS])
        features = g.input("features", TensorProto.FLOAT, [N_JOINTS, self.features])
        farther = g.slice(features, slice(0, 1), axis=2)  # (N, 21, 1) mm
        found = g.slice(features, slice(1, 2), axis=2)
        farther = g("Sub", farther, g.slice(farther, slice(0, 1)))
        ones = g("Add", g("Mul", g.slice(rays, slice(0, 1), axis=2), g.const(0.0)), g.const(1.0))
        xyz = g("Concat", rays, ones, axis=2)
        unit = g("Div", xyz, g("Sqrt", g.sum(g("Mul", xyz, xyz), [2])))
        wrist = g.slice(unit, slice(0, 1))
        knuckle = slice(int(Joint.MIDDLE_MCP), int(Joint.MIDDLE_MCP) + 1)
        gap = g("Sub", g.slice(unit, knuckle), wrist)
        # |(r + d) e9 - r e0|² = L² with |e9 - e0|² = q:  q r² + q d r + d² - L² = 0
        q, d = g.sum(g("Mul", gap, gap), [2]), g.slice(farther, knuckle)
        inside = g("Sub", g.const(PALM_MM**2), g("Mul", d, d))
        inside = g(
            "Add",
            g("Mul", g("Mul", d, d), g("Mul", q, q)),
            g("Mul", q, g("Mul", inside, g.const(4.0))),
        )
        root = g("Sub", g("Sqrt", g("Max", inside, g.const(1e-6))), g("Mul", q, d))
        distance = g("Div", root, g("Max", g("Mul", q, g.const(2.0)), g.const(1e-9)))
        joints = g("Mul", unit, g("Add", farther, distance))
        g.output("joints_mm", g("Sub", joints, g("Mul", wrist, distance)), [N_JOINTS, 3])
        sigma = g.mix(found, g.const(2.0), g.const(15.0))
        g.output("sigma_mm", g.reshape(sigma, [0, N_JOINTS]), [N_JOINTS])
        return g.serialize(self.card("lifter"))

    def detector(self) -> bytes:
        g = Graph()
        size, cells = self.frame_size, self.frame_size // 8
        image = g.input("image", TensorProto.UINT8, [size, size, 3])
        likeness, blue = _likeness(g, image, N_JOINTS)
        is_right = g.cast(g("Less", blue, g.const(128.0)))
        right_dots = g("Mul", likeness, is_right)
        by_side = {"left": g("Sub", likeness, right_dots), "right": right_dots}
        order = ("right", "left") if self.swap_sides else ("left", "right")
        found = [_window_hand(g, by_side[side], size, cells) for side in order]
        peaks = [hand[0] for hand in found]
        left_is_surer = g("GreaterOrEqual", *peaks)
        geometry = [
            g("Where", left_is_surer, one, other)
            for one, other in zip(found[0][1:], found[1][1:], strict=True)
        ]
        g.output("maps", g("Concat", *peaks, *geometry, *geometry, axis=1), [12, cells, cells])
        masks = [
            g(
                "MaxPool",
                g("ReduceMax", by_side[side], g.ints([1]), keepdims=1),
                kernel_shape=[8, 8],
                strides=[4, 4],
                pads=[2, 2, 2, 2],
            )
            for side in order
        ]
        g.output("mask", g("Concat", *masks, axis=1), [2, size // 4, size // 4])
        return g.serialize(self.card("detector"))


def _likeness(g: Graph, image: str, n_codes: int) -> tuple[str, str]:
    """Image (N, S, S, 3) -> how much each pixel is each dot (N, n_codes, S, S), and blue."""
    planes = g("Transpose", g.cast(image), perm=[0, 3, 1, 2])
    red, green, blue = (g.slice(planes, slice(k, k + 1)) for k in range(3))
    distance2 = []
    for plane, codes in ((red, CODES[:n_codes, 0]), (green, CODES[:n_codes, 1])):
        gap = g("Sub", plane, g.const(codes[None, :, None, None]))
        distance2.append(g("Mul", gap, gap))
    nearness = g("Sub", g.const(1.0), g("Mul", g("Add", *distance2), g.const(_REACH**-2)))
    return g("Relu", nearness), blue


def _chirality(g: Graph, points: str, found: str) -> str:
    """Logit that the marker lies where it does on a right hand."""
    wrist = g.slice(points, slice(0, 1))
    knuckles = g.slice(points, slice(int(Joint.MIDDLE_MCP), int(Joint.MIDDLE_MCP) + 1))
    palm = g("Sub", knuckles, wrist)
    marker = g("Sub", g.slice(points, slice(N_JOINTS, N_DOTS)), wrist)
    (px, py), (mx, my) = (
        [g.reshape(g.slice(v, slice(k, k + 1), axis=2), [-1]) for k in range(2)]
        for v in (palm, marker)
    )
    # The marker of a right hand points along (py, -px).
    dot = g("Sub", g("Mul", mx, py), g("Mul", my, px))
    palm2 = g("Add", g("Add", g("Mul", px, px), g("Mul", py, py)), g.const(1e-3))
    both = g("Mul", *(g.reshape(g.slice(found, s), [-1]) for s in (slice(0, 1), slice(21, 22))))
    return g("Mul", g("Mul", g("Div", dot, palm2), g.const(20.0)), both)


def _window_hand(g: Graph, dots: str, size: int, cells: int) -> list[str]:
    """Peak, offsets, size and angle of the one hand in a window around each cell."""
    stride = size // cells
    along = np.arange(size)

    def window_sum(plane: str) -> str:
        pooled = g("AveragePool", plane, kernel_shape=[stride] * 2, strides=[stride] * 2)
        return g("AveragePool", pooled, kernel_shape=[17, 17], pads=[8] * 4, count_include_pad=1)

    mass = window_sum(dots)  # (N, 21, cells, cells)
    found = g.cast(g("Greater", mass, g.const(0.3 / (stride * 17) ** 2)))
    safe = g("Max", mass, g.const(1e-8))
    count = g("Max", g.sum(found, [1]), g.const(1.0))
    axes = []
    for weights in (along[None, :], along[:, None]):
        place = g("Div", window_sum(g("Mul", dots, g.const(weights))), safe)
        mean = g("Div", g.sum(g("Mul", place, found), [1]), count)
        axes.append(g.mix(found, place, mean))  # a hidden joint is taken to be in the middle
    x, y = axes
    knuckles = [int(k) for k in KNUCKLES]
    px, py = (
        g("Sub", g.mean(g.gather(v, knuckles), [1], True), g.slice(v, slice(0, 1))) for v in axes
    )
    length = g("Sqrt", g("Add", g("Add", g("Mul", px, px), g("Mul", py, py)), g.const(1e-6)))
    cos, sin = g("Neg", g("Div", py, length)), g("Div", px, length)
    turned_x = g("Add", g("Mul", x, cos), g("Mul", y, sin))
    turned_y = g("Sub", g("Mul", y, cos), g("Mul", x, sin))
    middles, ranges = [], []
    for v in (turned_x, turned_y):
        low, high = (g(f"Reduce{end}", v, g.ints([1]), keepdims=1) for end in ("Min", "Max"))
        middles.append(g("Mul", g("Add", low, high), g.const(0.5)))
        ranges.append(g("Sub", high, low))
    centre_x = g("Sub", g("Mul", middles[0], cos), g("Mul", middles[1], sin))
    centre_y = g("Add", g("Mul", middles[0], sin), g("Mul", middles[1], cos))
    log_size = g("Log", g("Max", g("Mul", g("Max", *ranges), g.const(1 / 64)), g.const(1e-2)))
    cell = (np.arange(cells) + 0.5) * stride - 0.5
    dx = g("Mul", g("Sub", centre_x, g.const(cell[None, :])), g.const(1 / stride))
    dy = g("Mul", g("Sub", centre_y, g.const(cell[:, None])), g.const(1 / stride))
    distance2 = g("Add", g("Mul", dx, dx), g("Mul", dy, dy))
    bell = g("Exp", g("Mul", distance2, g.const(-0.5)))
    enough = g.cast(g("Greater", count, g.const(14.5)))
    return [g("Mul", bell, enough), dx, dy, log_size, cos, sin]


class Graph:
    """Builds an ONNX graph: ``g("Add", a, b)`` makes a node and returns the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def __call__(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def input(self, name: str, kind: int, shape: list[int]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["batch", *shape]))
        return name

    def output(self, name: str, value: str, shape: list[int]) -> None:
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        kind = TensorProto.FLOAT
        self._outputs.append(helper.make_tensor_value_info(name, kind, ["batch", *shape]))

    def const(self, value: np.ndarray | float) -> str:
        return self._constant(np.asarray(value, np.float32))

    def ints(self, value: list[int]) -> str:
        return self._constant(np.asarray(value, np.int64))

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def cast(self, value: str) -> str:
        return self("Cast", value, to=TensorProto.FLOAT)

    def sum(self, value: str, axes: list[int], keep: bool = True) -> str:
        return self("ReduceSum", value, self.ints(axes), keepdims=int(keep))

    def mean(self, value: str, axes: list[int], keep: bool = False) -> str:
        return self("ReduceMean", value, self.ints(axes), keepdims=int(keep))

    def unsqueeze(self, value: str, axis: int) -> str:
        return self("Unsqueeze", value, self.ints([axis]))

    def reshape(self, value: str, shape: list[int]) -> str:
        return self("Reshape", value, self.ints(shape))

    def gather(self, value: str, indices: list[int]) -> str:
        return self("Gather", value, self.ints(indices), axis=1)

    def slice(self, value: str, part: slice, axis: int = 1) -> str:
        ends = [self.ints([v]) for v in (part.start, part.stop, axis)]
        return self("Slice", value, *ends)

    def mix(self, share: str, one: str, other: str) -> str:
        """``one`` where share is 1, ``other`` where it is 0."""
        rest = self("Sub", self.const(1.0), share)
        return self("Add", self("Mul", share, one), self("Mul", rest, other))

    def serialize(self, card: ModelCard) -> bytes:
        graph = helper.make_graph(
            self._nodes, card.kind, self._inputs, self._outputs, self._constants
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 9
        helper.set_model_props(model, card.to_metadata())
        onnx.checker.check_model(model)
        return model.SerializeToString()


def bone_lengths_mm() -> np.ndarray:
    """(20,) of every hand of this world."""
    return bone_lengths(right_hand_mm(np.zeros((5, 3))))
