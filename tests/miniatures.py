"""Tiny copies of every data set's format: real layout, units, joint order and file names.

Hands are bent wire figures; in the picture every joint is a dot in a colour of its own, so that a
reader that mixes up joints, sides, units or pixels shows it. Formats are written from the makers'
descriptions, independently of the readers.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from knuckle.camera import Camera
from knuckle.data.labelled import LabelledSet
from knuckle.evaluate.predictions import PredictedHand, Predictions, System

SIDES = ("right", "left")
#: Dot colours (RGB), one per joint in our order; the right hand is reddish, the left bluish.
COLOURS = {
    "right": [(255, 10 * j, 40) for j in range(21)],
    "left": [(40, 10 * j, 255) for j in range(21)],
}
#: Our order, spelled out once more: wrist, then thumb, index, middle, ring, little, base to tip.
WRIST_FIRST_TIP_LAST = list(range(21))
#: Wrist, then each finger from tip to base (RHD).
WRIST_FIRST_TIP_FIRST = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
#: Each finger from tip to base, wrist last (InterHand2.6M).
TIP_FIRST_WRIST_LAST = [4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17, 0]


@dataclass(frozen=True)
class Truth:
    """One hand as it was drawn, in our order and units."""

    side: str
    joints_px: np.ndarray
    joints_mm: np.ndarray | None
    valid: np.ndarray


def bent_hand(rng: np.random.Generator, side: str, centre_mm: np.ndarray) -> np.ndarray:
    """(21, 3) mm in the camera frame: a hand with every finger a little bent."""
    joints = np.zeros((21, 3))  # in the palm's frame: x to the thumb, y to the knuckles, z to bend
    bases = [(30, 25), (25, 82), (4, 86), (-15, 80), (-32, 72)]
    bones = [(40, 32, 27), (42, 26, 20), (46, 29, 21), (42, 28, 20), (33, 21, 18)]
    for finger, ((x, y), lengths) in enumerate(zip(bases, bones, strict=True)):
        at, bend = np.array([x, y, 0.0]), 0.0
        out = np.radians(40.0) if finger == 0 else 0.0
        joints[1 + 4 * finger] = at
        for k, length in enumerate(lengths):
            bend += rng.uniform(0.15, 0.5)
            along = [np.sin(out) * np.cos(bend), np.cos(out) * np.cos(bend), np.sin(bend)]
            at = at + length * np.array(along)
            joints[2 + 4 * finger + k] = at
    if side == "left":
        joints = joints * (-1, 1, 1)
    joints = joints - joints.mean(axis=0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    return joints @ turn.T + centre_mm


def draw(shape: tuple[int, int], hands: list[Truth]) -> np.ndarray:
    """(H, W, 3) RGB: a dot for every valid joint inside the picture."""
    image = np.full((*shape, 3), 90, np.uint8)
    for hand in hands:
        for (x, y), colour, valid in zip(
            hand.joints_px, COLOURS[hand.side], hand.valid, strict=True
        ):
            if valid:
                cv2.circle(image, (round(x), round(y)), 2, colour, -1)
    return image


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    quality = [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix == ".jpg" else []
    assert cv2.imwrite(str(path), bgr, quality)


def hand_mask(shape: tuple[int, int], joints_px: np.ndarray) -> np.ndarray:
    """(H, W) uint8, 1 on the hull of the joints."""
    mask = np.zeros(shape, np.uint8)
    hull = cv2.convexHull(np.round(joints_px).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1)
    return cv2.dilate(mask, np.ones((7, 7)))


# --------------------------------------------------------------------------------------------
# InterHand2.6M
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class InterHandScene:
    """What a miniature of InterHand2.6M holds: captures x sequences x steps x cameras pictures.

    Attributes:
        captures: capture number -> subject number.
        sequences: names of the sequences of every capture.
        steps: frame numbers of every sequence.
        cameras: names.
        hand_types: hand_type of step k is hand_types[k % len].
    """

    captures: dict[int, int]
    sequences: tuple[str, ...] = ("0000_neutral", "0390_dh_touchROM")
    steps: tuple[int, ...] = (8032, 8050, 8068)
    cameras: tuple[str, ...] = ("400026", "410053")
    hand_types: tuple[str, ...] = ("right", "left", "interacting")


def write_interhand(
    root: Path,
    scene: InterHandScene,
    *,
    split: str = "train",
    layout: str = "v1.0",
    seed: int = 0,
    nested: bool = True,
) -> dict[int, list[Truth]]:
    """Write one split; returns the truth by annotation id."""
    rng = np.random.default_rng(seed)
    images, annotations, cameras, joints_3d = [], [], {}, {}
    truth: dict[int, list[Truth]] = {}
    image_root = root if layout == "re-packed" else root / "images" / split
    for capture, subject in scene.captures.items():
        cameras[str(capture)] = _rig(rng, scene.cameras)
        joints_3d[str(capture)] = {}
        for number, sequence in enumerate(scene.sequences):
            for k, step in enumerate(scene.steps):
                frame = step + 100000 * number  # frame numbers run on through a capture
                kind = scene.hand_types[k % len(scene.hand_types)]
                world, valid = _interhand_step(rng, kind)
                joints_3d[str(capture)][str(frame)] = {
                    "world_coord": world.tolist(),
                    "joint_valid": [[bool(v)] for v in valid],
                    "hand_type": kind,
                    "hand_type_valid": True,
                }
                for camera in scene.cameras:
                    identity = len(images) + 1000 * (1 + len(split))
                    name = f"Capture{capture}/{sequence}/cam{camera}/image{frame}.jpg"
                    if layout == "re-packed":
                        name = f"image{identity}.jpg"
                    hands = _seen_by(cameras[str(capture)], camera, world, valid, kind)
                    truth[identity] = hands
                    save(image_root / name, draw((512, 334), hands))
                    images.append(
                        {
                            "id": identity,
                            "file_name": name,
                            "width": 334,
                            "height": 512,
                            "capture": capture,
                            "subject": subject,
                            "seq_name": sequence,
                            "camera": camera,
                            "frame_idx": frame,
                        }
                    )
                    flags = valid.astype(int)
                    annotations.append(
                        {
                            "id": identity,
                            "image_id": identity,
                            "bbox": [60.0, 150.0, 200.0, 200.0],
                            "joint_valid": [[int(v)] for v in flags] if nested else flags.tolist(),
                            "hand_type": kind,
                            "hand_type_valid": 1,
                        }
                    )
    files = interhand_files(root, split, layout)
    files["data"].parent.mkdir(parents=True, exist_ok=True)
    files["data"].write_text(json.dumps({"images": images, "annotations": annotations}))
    files["camera"].write_text(json.dumps(cameras))
    files["joint_3d"].write_text(json.dumps(joints_3d))
    return truth


def interhand_files(root: Path, split: str, layout: str) -> dict[str, Path]:
    """The three label files of a layout."""
    folder, stem = {
        "v1.0": (root / "annotations" / split, f"InterHand2.6M_{split}"),
        "v0.0": (root / "annotations" / "all", f"InterHand2.6M_{split}"),
        "re-packed": (root, f"{split}_interhand2.6m"),
    }[layout]
    return {part: folder / f"{stem}_{part}.json" for part in ("data", "camera", "joint_3d")}


def _rig(rng: np.random.Generator, names: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Cameras on a circle around the hands, about a metre away, looking at them."""
    rig: dict[str, dict[str, object]] = {"campos": {}, "camrot": {}, "focal": {}, "princpt": {}}
    for k, name in enumerate(names):
        angle = 0.4 * k + rng.uniform(-0.1, 0.1)
        position = np.array([1000 * np.sin(angle), -80.0, 1000 - 1000 * np.cos(angle)])
        forward = np.array([0.0, 0, 1000]) - position
        z = forward / np.linalg.norm(forward)
        x = np.cross([0.0, 1, 0], z)
        x /= np.linalg.norm(x)
        rig["campos"][name] = position.tolist()  # type: ignore[index]
        rig["camrot"][name] = [x.tolist(), np.cross(z, x).tolist(), z.tolist()]  # type: ignore[index]
        rig["focal"][name] = [1261.5, 1270.25]  # type: ignore[index]
        rig["princpt"][name] = [155.8 + k, 258.8]  # type: ignore[index]
    return rig


def _interhand_step(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """World coordinates (42, 3), [1, 1, 1] where invalid, and validity (42,)."""
    world, valid = np.ones((42, 3)), np.zeros(42, bool)
    for offset, side in ((0, "right"), (21, "left")):
        if kind in (side, "interacting"):
            x = 45.0 if side == "left" else -45.0
            hand = bent_hand(rng, side, np.array([x, 0.0, 1000.0]))
            world[offset : offset + 21] = hand[TIP_FIRST_WRIST_LAST]
            valid[offset : offset + 21] = True
            lost = offset + rng.integers(0, 20)  # never the wrist
            world[lost], valid[lost] = 1.0, False
    return world.astype(np.float32).astype(float), valid


def _seen_by(
    rig: dict[str, dict], camera: str, world: np.ndarray, valid: np.ndarray, kind: str
) -> list[Truth]:
    hands = []
    R, centre = np.array(rig["camrot"][camera]), np.array(rig["campos"][camera])
    (fx, fy), (cx, cy) = rig["focal"][camera], rig["princpt"][camera]
    for offset, side in ((0, "right"), (21, "left")):
        if kind not in (side, "interacting"):
            continue
        back = np.argsort(TIP_FIRST_WRIST_LAST)
        seen = (world[offset : offset + 21] - centre) @ R.T
        seen = seen[back]
        known = valid[offset : offset + 21][back]
        px = seen[:, :2] / seen[:, 2:] * (fx, fy) + (cx, cy)
        hands.append(Truth(side, px, seen, known))
    return hands


# --------------------------------------------------------------------------------------------
# The other data sets: each writer returns the truth in the reader's order
# --------------------------------------------------------------------------------------------
def write_interhand_test(root: Path) -> list[list[Truth]]:
    truth = write_interhand(root, InterHandScene({3: 3}), split="test")
    return list(truth.values())


def write_freihand(root: Path, moments: int = 3) -> list[list[Truth]]:
    rng = np.random.default_rng(1)
    K = [[[480.0, 0, 111.5], [0, 482.0, 112.5], [0, 0, 1]]] * moments
    xyz, hands = [], []
    for _ in range(moments):
        joints = bent_hand(rng, "right", np.array([5.0, -10, 650]))
        xyz.append((joints / 1000)[WRIST_FIRST_TIP_LAST].tolist())
        px = joints[:, :2] / joints[:, 2:] * (480, 482) + (111.5, 112.5)
        hands.append([Truth("right", px, joints, np.ones(21, bool))])
    for part, content in (("K", K), ("xyz", xyz)):
        root.mkdir(parents=True, exist_ok=True)
        (root / f"training_{part}.json").write_text(json.dumps(content))
    for index in range(4 * moments):  # the four versions of each moment follow each other
        moment = hands[index % moments]
        save(root / "training/rgb" / f"{index:08d}.jpg", draw((224, 224), moment))
        if index < moments:
            mask = hand_mask((224, 224), moment[0].joints_px) * 255
            save(root / "training/mask" / f"{index:08d}.jpg", cv2.merge([mask] * 3))
    return hands * 4


def write_rhd(root: Path, pictures: int = 3) -> list[list[Truth]]:
    rng = np.random.default_rng(2)
    K = np.array([[300.0, 0, 160], [0, 300.0, 160], [0, 0, 1]])
    labels, truth = {}, []
    for number in range(pictures):
        xyz, uv_vis = np.zeros((42, 3)), np.zeros((42, 3))
        hands, parts = [], np.zeros((320, 320), np.uint8)
        for offset, side, x, values in ((0, "left", -80, (2, 17)), (21, "right", 80, (18, 33))):
            # In the last picture the left hand is outside.
            x = -900 if side == "left" and number == pictures - 1 else x
            joints = bent_hand(rng, side, np.array([x, 0, 500.0]))
            px = joints[:, :2] / joints[:, 2:] * 300 + 160
            visible = rng.random(21) < 0.8
            rows = slice(offset, offset + 21)
            xyz[rows] = joints[WRIST_FIRST_TIP_FIRST] / 1000
            uv_vis[rows, :2] = px[WRIST_FIRST_TIP_FIRST]
            uv_vis[rows, 2] = visible[WRIST_FIRST_TIP_FIRST]
            if x > -900:
                hands.append(Truth(side, px, joints, np.ones(21, bool)))
                parts[hand_mask((320, 320), px) > 0] = values[rng.integers(0, 2)]
        labels[number] = {"xyz": xyz.astype(np.float32), "uv_vis": uv_vis, "K": K}
        truth.append(hands)
        save(root / "training/color" / f"{number:05d}.png", draw((320, 320), hands))
        save(root / "training/mask" / f"{number:05d}.png", parts)
    (root / "training/anno_training.pickle").write_bytes(pickle.dumps(labels, protocol=2))
    return truth


def write_coco_wholebody(root: Path) -> list[list[Truth]]:
    rng = np.random.default_rng(3)
    camera = Camera(500, 500, 320, 240)
    images, annotations, truth = [], [], []
    for number in (139, 285, 632, 724):
        images.append(
            {"id": number, "file_name": f"{number:012d}.jpg", "width": 640, "height": 480}
        )
        hands: list[Truth] = []
        for person in range(2):
            entry: dict[str, object] = {
                "id": 10 * number + person,
                "image_id": number,
                "iscrowd": 0,
            }
            for side, x in (("left", 130.0), ("right", -130.0)):
                joints = bent_hand(rng, side, np.array([x + 300 * person - 150, 20, 800.0]))
                px = np.round(camera.project(joints))
                labelled = number != 724 and (person, side) != (1, "left")
                known = rng.random(21) < 0.9
                kpts = np.column_stack([px, np.full(21, 2.0)])
                kpts[~known] = 0
                low, high = px.min(axis=0), px.max(axis=0)
                entry[f"{side}hand_valid"] = labelled
                entry[f"{side}hand_box"] = [*low.tolist(), *(high - low).tolist()]
                entry[f"{side}hand_kpts"] = (
                    (kpts if labelled else np.zeros((21, 3))).ravel().tolist()
                )
                if labelled:
                    hands.append(Truth(side, px, None, known))
            annotations.append(entry)
        if hands:
            truth.append(hands)
        save(root / "val2017" / f"{number:012d}.jpg", draw((480, 640), hands))
    content = {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": 1}]}
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/coco_wholebody_val_v1.0.json").write_text(json.dumps(content))
    return truth


def write_real_hand_3d(root: Path, pictures: int = 3) -> list[list[Truth]]:
    rng = np.random.default_rng(4)
    labels, truth = [], []
    for number in range(pictures):
        joints = bent_hand(rng, "left", np.array([0.0, 0, 420]))
        px = joints[:, :2] / joints[:, 2:] * 479.6 + (127, 130)
        hand = Truth("left", px, joints, np.ones(21, bool))
        save(root / "images" / f"{number:04d}.jpg", draw((256, 256), [hand]))
        padded = Truth("left", px + 64, joints, hand.valid)  # as the reader gives it
        truth.append([padded])
        labels.append(
            {
                "file": f"{number:04d}.jpg",
                "side": "left",
                "fx_fy_cx_cy": [479.6, 479.6, 127, 130],
                "joints_mm": joints.tolist(),
            }
        )
    (root / "labels.json").write_text(json.dumps(labels))
    return truth


def write_folder(root: Path, pictures: int = 4) -> list[list[Truth]]:
    rng = np.random.default_rng(5)
    names = ["wrist", *(f"thumb_{j}" for j in ("cmc", "mcp", "ip", "tip"))]
    for finger in ("index", "middle", "ring", "little"):
        names += [f"{finger}_{j}" for j in ("mcp", "pip", "dip", "tip")]
    order = rng.permutation(21)  # any order that the header names
    header = {
        "format": "knuckle-labels",
        "version": 1,
        "joint_order": [names[j] for j in order],
    }
    lines, truth = [json.dumps(header)], []
    for number in range(pictures):
        hands = []
        for side, x in (("left", 60.0), ("right", -60.0)):
            joints = bent_hand(rng, side, np.array([x, 0, 600]))
            px = joints[:, :2] / joints[:, 2:] * 500 + (160, 120)
            hands.append(Truth(side, px, joints, rng.random(21) < 0.9))
        truth.append(hands)
        save(root / "images" / f"{number:04d}.jpg", draw((240, 320), hands))
        hand_map = np.zeros((240, 320), np.uint8)
        for k, hand in enumerate(hands, start=1):
            hand_map[hand_mask((240, 320), hand.joints_px) > 0] = k
        save(root / "masks" / f"{number:04d}.png", hand_map)
        record = {
            "file": f"images/{number:04d}.jpg",
            "split": "train",
            "group": f"anna/{number // 2}",
            "camera": {"fx": 500, "fy": 500, "cx": 160, "cy": 120},
            "hand_map": f"masks/{number:04d}.png",
            "hands": [
                {
                    "side": hand.side,
                    "joints_px": hand.joints_px[order].tolist(),
                    "joints_mm": hand.joints_mm[order].tolist(),  # type: ignore[index]
                    "valid": hand.valid[order].astype(int).tolist(),
                }
                for hand in hands
            ],
        }
        lines.append(json.dumps(record))
    (root / "labels.jsonl").write_text("\n".join(lines) + "\n")
    return truth


#: Name in ``DATASETS`` -> (writer, the split that it writes).
MINIATURES = {
    "interhand26m": (write_interhand_test, "test"),
    "freihand": (write_freihand, "train"),
    "rhd": (write_rhd, "train"),
    "coco_wholebody": (write_coco_wholebody, "val"),
    "real_hand_3d": (write_real_hand_3d, "test"),
    "folder": (write_folder, "train"),
}


def predictions_from_truth(dataset: LabelledSet) -> Predictions:
    """The labels as if a system had said them: the best that any system can do."""
    hands = {}
    for index in range(len(dataset)):
        record = dataset.record(index)
        hands[record.key] = [
            PredictedHand(
                side=hand.side,
                joints_px=hand.joints_px,
                joints_mm=hand.joints_mm,
                visible=hand.visible,
            )
            for hand in record.hands
            if hand.valid.any()
        ]
    return Predictions(System("the labels themselves"), hands)
