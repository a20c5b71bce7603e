"""``knuckle.mediapipe`` beside what MediaPipe 0.10.21 was recorded to answer."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import pyplot

import knuckle.mediapipe as mp
from knuckle.errors import KnuckleError
from knuckle.mediapipe import containers
from knuckle.mediapipe.answers import normalized
from knuckle.mediapipe.hand_landmarker import BaseOptions, Delegate, ImageProcessingOptions
from knuckle.mediapipe.thresholds import finder
from knuckle.pipeline.settings import TrackerSettings
from knuckle.video import open_source

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RECORDED = json.loads((HERE / "recorded.json").read_text())
CLIP = REPOSITORY / "src/knuckle/demo/hands.mp4"
vision, utils = mp.tasks.vision, mp.solutions.drawing_utils


def frames() -> list[np.ndarray]:
    """The pictures of the recording."""
    with open_source(CLIP) as source:
        images = [frame.image for frame in source if frame.index in (30, 100, 115)]
    return [*images, np.zeros_like(images[0])]


IMAGES = frames()


def as_array(points) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in points])


class TestNames:
    names = RECORDED["names"]

    def test_landmarks_and_lines(self) -> None:
        assert {each.name: each.value for each in mp.HandLandmark} == self.names["HandLandmark"]
        lines = [list(pair) for pair in sorted(mp.solutions.hands.HAND_CONNECTIONS)]
        assert lines == self.names["HAND_CONNECTIONS"]
        assert isinstance(mp.solutions.hands.HAND_CONNECTIONS, frozenset)
        connections = vision.HandLandmarksConnections.HAND_CONNECTIONS
        assert [[c.start, c.end] for c in connections] == self.names["HandLandmarksConnections"]
        assert [mode.name for mode in vision.RunningMode] == self.names["RunningMode"]

    @pytest.mark.parametrize(
        "ours",
        [
            vision.HandLandmarkerOptions,
            vision.HandLandmarkerResult,
            containers.Category,
            containers.NormalizedLandmark,
            containers.Landmark,
            utils.DrawingSpec,
        ],
    )
    def test_fields_come_in_their_order(self, ours: type) -> None:
        theirs = self.names[ours.__name__]
        assert [field.name for field in dataclasses.fields(ours)][: len(theirs)] == theirs

    @pytest.mark.parametrize("name", ["detect", "detect_for_video", "detect_async"])
    def test_calls_take_the_same(self, name: str) -> None:
        ours = inspect.signature(getattr(vision.HandLandmarker, name)).parameters
        assert list(ours)[1:] == self.names[name]

    def test_solutions_take_the_same(self) -> None:
        ours = inspect.signature(mp.solutions.hands.Hands).parameters.values()
        assert {p.name: repr(p.default) for p in ours} == self.names["Hands"]
        assert (
            list(inspect.signature(utils.draw_landmarks).parameters) == self.names["draw_landmarks"]
        )


def assert_near(ours, theirs: dict, world) -> None:
    """The same hand, by two systems."""
    found, recorded = as_array(ours), np.array(theirs["landmarks"])
    assert np.abs(found - recorded)[:, :2].mean() < 0.05  # of the picture
    assert found[0, 2] == 0  # the wrist's z
    assert np.corrcoef(found[:, 2], recorded[:, 2])[0, 1] > 0.2  # no two systems agree on depth
    world_mm, recorded_mm = 1000 * as_array(world), 1000 * np.array(theirs["world"])
    assert np.linalg.norm(world_mm - recorded_mm, axis=1).mean() < 50  # two systems


def nearest(found: list, theirs: dict) -> int:
    """Which of our hands is theirs."""
    recorded = np.array(theirs["landmarks"])
    return int(np.argmin([np.abs(as_array(points) - recorded)[:, :2].mean() for points in found]))


class TestAnswers:
    def test_solutions(self) -> None:
        with mp.solutions.hands.Hands(static_image_mode=True) as hands:
            for image, recorded in zip(IMAGES, RECORDED["solutions"], strict=True):
                found = hands.process(image)
                assert set(found._fields) - {"hands"} == set(recorded["fields"])
                if recorded["hands"] is None:
                    assert found[:3] == (None, None, None)
                    continue
                assert len(found.multi_hand_landmarks) == len(recorded["hands"])
                for theirs in recorded["hands"]:
                    k = nearest([each.landmark for each in found.multi_hand_landmarks], theirs)
                    side = found.multi_handedness[k].classification[0]
                    assert found.multi_handedness[k].ListFields()[0][1][0] is side
                    for name in ("index", "label", "display_name"):
                        assert getattr(side, name) == theirs[name]
                    first = found.multi_hand_landmarks[k].landmark[0]
                    assert first.HasField("visibility") == theirs["has_visibility"]
                    assert first.HasField("x") == theirs["has_x"]
                    world = found.multi_hand_world_landmarks[k].landmark
                    assert_near(found.multi_hand_landmarks[k].landmark, theirs, world)

    def test_tasks(self) -> None:
        with mp.HandLandmarker(mp.HandLandmarkerOptions(num_hands=2)) as task:
            for image, recorded in zip(IMAGES, RECORDED["tasks"], strict=True):
                found = task.detect(mp.Image(mp.ImageFormat.SRGB, image))
                assert len(found.hand_landmarks) == len(recorded)
                for theirs in recorded:
                    k = nearest(found.hand_landmarks, theirs)
                    ours = dataclasses.asdict(found.handedness[k][0])
                    for name in ("index", "display_name", "category_name"):
                        assert ours[name] == theirs["category"][name]
                    first = found.hand_landmarks[k][0]
                    assert (first.visibility, first.presence) == (
                        theirs["visibility"],
                        theirs["presence"],
                    )
                    assert_near(found.hand_landmarks[k], theirs, found.hand_world_landmarks[k])

    def test_a_mirrored_picture_gives_solutions_the_persons_own_side(self) -> None:
        image, mirrored = IMAGES[0], IMAGES[0][:, ::-1]  # a right hand
        with mp.solutions.hands.Hands(static_image_mode=True) as hands:
            labels = [
                hands.process(picture).multi_handedness[0].classification[0].label
                for picture in (image, mirrored)
            ]
        assert labels == ["Left", "Right"]
        with mp.HandLandmarker.create_from_model_path("hand_landmarker.task") as task:
            result = task.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=image))
        assert result.handedness[0][0].category_name == "Right"
        assert result.hands[0].side == "right"

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_an_image_says_how_its_rows_lie(self, channels: int) -> None:
        kind = {1: "GRAY8", 3: "SRGB", 4: "SRGBA"}[channels]
        image = mp.Image(mp.ImageFormat[kind], np.zeros((5, 7, channels), np.uint8))
        assert image.step == 7 * channels == image.width * image.channels

    def test_a_pixel_lies_where_it_is_drawn(self) -> None:
        with mp.HandLandmarker(mp.HandLandmarkerOptions()) as task:
            (hand,) = task.detect(mp.Image(mp.ImageFormat.SRGB, IMAGES[0])).hands
        size = IMAGES[0].shape[1::-1]
        np.testing.assert_allclose(normalized(hand, size)[:, :2] * size - 0.5, hand.joints_px)


class TestRunningModes:
    image = mp.Image(mp.ImageFormat.SRGB, IMAGES[0])

    def test_the_wrong_call_is_refused(self) -> None:
        with mp.HandLandmarker(mp.HandLandmarkerOptions()) as task:
            with pytest.raises(ValueError, match="running mode VIDEO"):
                task.detect_for_video(self.image, 0)
            with pytest.raises(ValueError, match="running mode LIVE_STREAM"):
                task.detect_async(self.image, 0)
        with pytest.raises(ValueError, match="was closed"):
            task.detect(self.image)

    def test_options_that_contradict_each_other_are_refused(self) -> None:
        with pytest.raises(ValueError, match="needs a result_callback"):
            mp.HandLandmarkerOptions(running_mode=mp.RunningMode.LIVE_STREAM)
        with pytest.raises(ValueError, match="is for LIVE_STREAM"):
            mp.HandLandmarkerOptions(result_callback=print)
        with pytest.raises(ValueError, match="runs on the CPU"):
            mp.HandLandmarkerOptions(BaseOptions(delegate=Delegate.GPU))

    def test_what_only_looks_like_it_is_refused_by_name(self) -> None:
        options = mp.HandLandmarkerOptions
        for name, value in (
            ("running_mode", "VIDEO"),
            ("base_options", {"model_asset_path": "hand_landmarker.task"}),
            ("num_hands", 2.0),
        ):
            with pytest.raises(TypeError, match=name):
                options(**{name: value})
        with pytest.raises(ValueError, match="num_hands must be at least 1"):
            options(num_hands=0)
        with pytest.raises(TypeError, match="result_callback must be a function"):
            options(running_mode=mp.RunningMode.LIVE_STREAM, result_callback=3)
        with pytest.raises(TypeError, match="detection confidence must be a number"):
            mp.HandLandmarker(options(min_hand_detection_confidence="0.5"))
        with pytest.raises(TypeError, match=r"as in vision\.HandLandmarkerOptions"):
            mp.HandLandmarker.create_from_options(None)
        with mp.HandLandmarker(options()) as task:
            for image in (IMAGES[0], "a.png", None):
                with pytest.raises(TypeError, match=r"as in mp.Image\(.*got [^\n]{,80}$"):
                    task.detect(image)
        with pytest.raises(TypeError, match="got None, which is what OpenCV gives"):
            mp.solutions.hands.Hands().process(None)

    def test_a_refused_time_does_not_count(self) -> None:
        options = mp.HandLandmarkerOptions(running_mode=mp.RunningMode.VIDEO)
        with mp.HandLandmarker(options) as task:
            with pytest.raises(ValueError, match="nanoseconds by 1e9"):
                task.detect_for_video(self.image, 1_795_901_564_461_389_963)
            task.detect_for_video(self.image, 0)

    def test_time_goes_on_in_a_video(self) -> None:
        options = mp.HandLandmarkerOptions(running_mode=mp.RunningMode.VIDEO)
        with mp.HandLandmarker(options) as task:
            results = [task.detect_for_video(self.image, t_ms) for t_ms in (0, 33, 66)]
            assert len({result.hands[0].track_id for result in results}) == 1
            with pytest.raises(ValueError, match="must go up: got 66 ms after 66 ms"):
                task.detect_for_video(self.image, 66)

    @pytest.mark.parametrize("time_ms", [None, "0", 1.5, float("nan")])
    def test_a_time_that_is_no_whole_number_is_refused(self, time_ms: object) -> None:
        options = mp.HandLandmarkerOptions(running_mode=mp.RunningMode.VIDEO)
        with mp.HandLandmarker(options) as task, pytest.raises(TypeError, match="timestamp_ms"):
            task.detect_for_video(self.image, time_ms)

    def test_a_stream_calls_back_with_the_newest(self) -> None:
        told, busy = [], threading.Event()

        def callback(result, image, timestamp_ms) -> None:
            busy.wait(10)
            told.append((timestamp_ms, len(result.hand_landmarks), image))

        options = mp.HandLandmarkerOptions(
            running_mode=mp.RunningMode.LIVE_STREAM, result_callback=callback
        )
        with mp.HandLandmarker(options) as task:
            for t_ms in range(0, 300, 33):
                task.detect_async(self.image, t_ms)
            busy.set()
        times = [each[0] for each in told]
        assert times == sorted(times)
        assert times[-1] == 297
        assert len(times) < 9  # what came meanwhile was dropped
        assert told[-1][2] is self.image

    def test_what_a_callback_raises_is_told(self) -> None:
        def callback(*args: object) -> None:
            raise KeyError("mine")

        options = mp.HandLandmarkerOptions(
            running_mode=mp.RunningMode.LIVE_STREAM, result_callback=callback
        )
        task = mp.HandLandmarker(options)
        task.detect_async(self.image, 0)
        with pytest.raises(KeyError, match="mine"):
            task.close()

    def test_a_callback_may_close_the_stream(self) -> None:
        times, seen, ready = [], threading.Event(), threading.Event()

        def callback(result, image, timestamp_ms) -> None:
            times.append(timestamp_ms)
            seen.set()
            ready.wait(10)
            task.close()

        options = mp.HandLandmarkerOptions(
            running_mode=mp.RunningMode.LIVE_STREAM, result_callback=callback
        )
        task = mp.HandLandmarker(options)
        task.detect_async(self.image, 0)
        assert seen.wait(20)
        task.detect_async(self.image, 1)  # waits, as the callback closes
        ready.set()
        task._live._thread.join(20)
        assert not task._live._thread.is_alive()
        assert times == [0, 1]
        with pytest.raises(ValueError, match="was closed"):
            task.detect_async(self.image, 2)

    def test_a_program_may_end_in_mid_stream(self) -> None:
        code = (
            "import numpy as np, knuckle.mediapipe as mp\n"
            "options = mp.HandLandmarkerOptions(running_mode=mp.RunningMode.LIVE_STREAM,"
            "    result_callback=lambda *found: None)\n"
            "task = mp.HandLandmarker(options)\n"
            "image = mp.Image(mp.ImageFormat.SRGB, np.zeros((480, 640, 3), np.uint8))\n"
            "task.detect_async(image, 0)\n"
            "import time; time.sleep(0.3)\n"
            "[task.detect_async(image, t) for t in range(1, 5)]\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize("turns", [1, 2, 3])
    def test_a_turned_picture(self, turns: int) -> None:
        upright, size = IMAGES[0], IMAGES[0].shape[1::-1]
        turned = np.ascontiguousarray(np.rot90(upright, turns))  # a quarter turn to the left
        with mp.HandLandmarker(mp.HandLandmarkerOptions()) as task:
            straight = task.detect(mp.Image(mp.ImageFormat.SRGB, upright))
            found = task.detect(
                mp.Image(mp.ImageFormat.SRGB, turned),
                ImageProcessingOptions(rotation_degrees=90 * turns),
            )
        expected = as_array(straight.hand_landmarks[0])[:, :2] * size - np.divide(size, 2)
        to_the_left = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), turns)
        turned_size = turned.shape[1::-1]
        points = as_array(found.hand_landmarks[0])[:, :2] * turned_size - np.divide(turned_size, 2)
        np.testing.assert_allclose(points, expected @ to_the_left.T, atol=1e-6)
        np.testing.assert_allclose(
            as_array(found.hand_world_landmarks[0])[:, :2],
            as_array(straight.hand_world_landmarks[0])[:, :2] @ to_the_left.T,
            atol=1e-9,
        )

    def test_other_angles_and_regions_are_refused(self) -> None:
        with mp.HandLandmarker(mp.HandLandmarkerOptions()) as task:
            with pytest.raises(ValueError, match="multiple of 90"):
                task.detect(self.image, ImageProcessingOptions(rotation_degrees=45))
            with pytest.raises(ValueError, match="multiple of 90"):
                task.detect(self.image, ImageProcessingOptions(rotation_degrees=90.0))
            with pytest.raises(ValueError, match="region of interest"):
                task.detect(self.image, ImageProcessingOptions(region_of_interest=(0, 0, 1, 1)))


class TestThresholds:
    def test_their_defaults_are_ours(self) -> None:
        found = finder(still=False, max_hands=2, detection=0.5, tracking=0.5)
        assert found.settings == TrackerSettings()

    def test_stricter_is_stricter(self) -> None:
        steps = [
            dataclasses.asdict(finder(still=False, max_hands=1, detection=c, tracking=c).settings)
            for c in np.linspace(0, 1, 11)
        ]
        names = [name for name in steps[0] if name.endswith("threshold")]
        for before, after in pairwise(steps):
            assert all(0 <= before[name] <= after[name] <= 1 for name in names)

    def test_what_is_no_share_is_refused(self) -> None:
        with pytest.raises(ValueError, match="tracking confidence must be"):
            mp.solutions.hands.Hands(min_tracking_confidence=2)
        with pytest.raises(ValueError, match="model_complexity"):
            mp.solutions.hands.Hands(model_complexity=2)


class TestImages:
    def test_formats(self, tmp_path: Path) -> None:
        rgb = IMAGES[0]
        cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
        for image in (
            mp.Image(mp.ImageFormat.SRGB, rgb),
            mp.Image(mp.ImageFormat.SRGBA, np.dstack([rgb, rgb[..., 0]])),
            mp.Image.create_from_file(str(tmp_path / "a.png")),
        ):
            assert (image.width, image.height) == (640, 480)
            np.testing.assert_array_equal(image.rgb(), rgb)
            assert not image.numpy_view().flags.writeable
        with pytest.raises(ValueError, match="expected uint8 with 4 channels for SRGBA"):
            mp.Image(mp.ImageFormat.SRGBA, rgb)
        with pytest.raises(ValueError, match="uint8 RGB"):
            mp.solutions.hands.Hands().process(rgb[..., 0])

    def test_a_camera_may_write_over_its_picture(self) -> None:
        camera = IMAGES[0].copy()
        image = mp.Image(mp.ImageFormat.SRGB, camera)
        camera[:] = 0
        np.testing.assert_array_equal(image.rgb(), IMAGES[0])
        assert image[4, 5, 1] == IMAGES[0][4, 5, 1]

    def test_what_is_no_picture(self) -> None:
        with pytest.raises(TypeError, match="got None"):
            mp.Image(mp.ImageFormat.SRGB, None)
        with pytest.raises(TypeError, match=r"one of ImageFormat\.SRGB"):
            mp.Image("SRGB", IMAGES[0])


class TestDrawing:
    points = tuple(containers.NormalizedLandmark(0.1 + 0.04 * i, 0.5, 0.0) for i in range(21))

    def drawn(self, landmarks, connections=mp.HAND_CONNECTIONS, **options) -> np.ndarray:
        image = np.zeros((100, 200, 3), np.uint8)
        utils.draw_landmarks(image, landmarks, connections, **options)
        return image

    def test_both_shapes_give_the_same(self) -> None:
        message = containers.NormalizedLandmarkList()
        message.landmark.extend(self.points)
        np.testing.assert_array_equal(self.drawn(message), self.drawn(list(self.points)))
        tasks_lines = vision.HandLandmarksConnections.HAND_THUMB_CONNECTIONS
        pairs = [(line.start, line.end) for line in tasks_lines]
        np.testing.assert_array_equal(
            self.drawn(list(self.points), pairs), self.drawn(list(self.points), tasks_lines)
        )

    def test_lines_of_both_apis_have_a_style(self) -> None:
        """Google's example draws the lines of the Tasks API, of which one is another."""
        vision = mp.tasks.vision
        point = mp.tasks.components.containers.NormalizedLandmark
        hand = [point(x=0.1 + 0.03 * i, y=0.5, z=0.0) for i in range(21)]
        for lines in (
            mp.solutions.hands.HAND_CONNECTIONS,
            vision.HandLandmarksConnections.HAND_CONNECTIONS,
        ):
            picture = np.zeros((90, 90, 3), np.uint8)
            vision.drawing_utils.draw_landmarks(
                picture,
                hand,
                lines,
                vision.drawing_styles.get_default_hand_landmarks_style(),
                vision.drawing_styles.get_default_hand_connections_style(),
            )
            assert picture.any()

    def test_none_draws_none(self) -> None:
        assert not self.drawn(None).any()
        assert not self.drawn(list(self.points), None, landmark_drawing_spec=None).any()
        assert not self.drawn(list(self.points), None, is_drawing_landmarks=False).any()

    def test_what_is_unsure_or_outside_is_left_out(self) -> None:
        hidden = [dataclasses.replace(point, visibility=0.3) for point in self.points]
        outside = [dataclasses.replace(point, x=1.2) for point in self.points]
        assert not self.drawn(hidden).any()
        assert not self.drawn(outside).any()

    def test_errors(self) -> None:
        with pytest.raises(ValueError, match="to draw into"):
            utils.draw_landmarks(np.zeros((9, 9), np.uint8), list(self.points))
        with pytest.raises(ValueError, match="no line"):
            self.drawn(list(self.points), [(0, 21)])

    def test_a_point_outside_has_no_pixel(self) -> None:
        pixel = utils._normalized_to_pixel_coordinates
        assert pixel(0, 0.5, 200, 100) == (0, 50)
        assert pixel(1, 1, 200, 100) == (199, 99)
        assert pixel(1.01, 0.5, 200, 100) is None

    def test_a_hand_in_3d(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = []
        monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf()))
        hidden = [dataclasses.replace(self.points[0], presence=0.3), *self.points[1:]]
        utils.plot_landmarks(containers.LandmarkList(hidden), mp.HAND_CONNECTIONS, azimuth=5)
        utils.plot_landmarks(None)
        (figure,) = shown
        lines = figure.axes[0].lines
        assert len(lines) == 20 + sum(0 not in pair for pair in mp.HAND_CONNECTIONS)
        np.testing.assert_allclose(lines[0].get_data_3d(), [[0], [0.14], [-0.5]])
        with pytest.raises(ValueError, match="no line"):
            utils.plot_landmarks(list(self.points), [(0, 21)])
        pyplot.close("all")

    def test_without_matplotlib_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
        with pytest.raises(KnuckleError, match=r"pip install 'knuckle\[viewer\]'"):
            utils.plot_landmarks(list(self.points))


def test_messages_print_a_field_a_line() -> None:
    points = containers.NormalizedLandmarkList([containers.NormalizedLandmark(0.5, 0.25, 0.0)])
    assert str(points) == "landmark {\n  x: 0.5\n  y: 0.25\n}\n"
    side = containers.ClassificationList([containers.Classification(1, 0.75, "Right")])
    inside = '{\n  index: 1\n  score: 0.75\n  label: "Right"\n}\n'
    assert str(side) == f"classification {inside}"


def test_messages_are_filled_as_programs_fill_them() -> None:
    """Lists grow by ``add``; messages become others by ``CopyFrom`` and share nothing."""
    point = containers.NormalizedLandmark(0.25, 0.5, -0.125)
    hand = containers.NormalizedLandmarkList()
    hand.landmark.add(x=0.25, y=0.5, z=-0.125)
    hand.landmark.add().CopyFrom(point)
    hand.landmark.extend([point.to_pb2(), containers.NormalizedLandmark.create_from_pb2(point)])
    assert list(hand.landmark) == [point] * 4
    other = containers.NormalizedLandmarkList(landmark=[point])
    other.CopyFrom(copy.deepcopy(hand))
    assert other == hand
    other.landmark.add().x = 0.75
    other.landmark[0].x = 0.0
    assert (len(hand.landmark), hand.landmark[0].x) == (4, 0.25)
    hand.MergeFrom(containers.NormalizedLandmarkList([point]))
    assert len(pickle.loads(pickle.dumps(hand)).landmark) == 5
    point.MergeFrom(containers.NormalizedLandmark(y=0.75))
    assert (point.x, point.y) == (0.25, 0.75)
    sides = containers.ClassificationList()
    sides.classification.add(label="Left")
    assert sides.classification[0].label == "Left"
    with pytest.raises(
        TypeError, match="expected a NormalizedLandmarkList, got NormalizedLandmark"
    ):
        hand.CopyFrom(point)


def test_messages_are_kept_as_mediapipe_reads_them() -> None:
    """What MediaPipe's own messages of the same fields are as bytes."""
    points = [
        containers.NormalizedLandmark(0.5, -0.25, 1),
        containers.NormalizedLandmark(y=0.75, z=0.1, visibility=0.9),
    ]
    side = containers.Classification(300, 0.75, "Right")
    for message, recorded in (
        (
            containers.NormalizedLandmarkList(points),
            "0a0f0d0000003f15000080be1d0000803f0a0f150000403f1dcdcccc3d256666663f",
        ),
        (containers.ClassificationList([side]), "0a0f08ac02150000403f1a055269676874"),
        (containers.LandmarkList(), ""),
    ):
        assert message.SerializeToString().hex() == recorded


def test_hands_that_were_closed_find_no_more() -> None:
    with mp.solutions.hands.Hands() as hands:
        pass
    hands.close()
    with pytest.raises(ValueError, match="were closed: make others"):
        hands.process(IMAGES[-1])


@pytest.mark.parametrize("root", ["mediapipe", "knuckle.mediapipe"])
def test_parts_have_their_full_names(root: str) -> None:
    """By every way that programs are seen to import them."""
    lines = [
        "from ROOT import solutions",
        "from ROOT.python.solutions.drawing_utils import _normalized_to_pixel_coordinates",
        "from ROOT.framework.formats import landmark_pb2",
        "from ROOT.tasks import python",
        "from ROOT.tasks.python import vision, BaseOptions",
        "from ROOT.tasks.python.components.containers import landmark",
        "from ROOT.tasks.python.vision import drawing_utils, drawing_styles, HandLandmarker",
        "from ROOT.tasks.python.vision.core.vision_task_running_mode import VisionTaskRunningMode",
        "import ROOT.tasks.python.vision.hand_landmarker as module",
        "assert module.HandLandmarker is vision.HandLandmarker is python.vision.HandLandmarker",
        "assert landmark_pb2.NormalizedLandmark is landmark.NormalizedLandmark",
        "assert python.BaseOptions is BaseOptions",
    ]
    code = "import knuckle.mediapipe.stand_in\n" * (root == "mediapipe")
    code += "\n".join(lines).replace("ROOT", root)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_parts_that_are_not_there_are_told_by_name() -> None:
    for place in (mp, mp.solutions, mp.tasks.vision, mp.tasks.python):
        with pytest.raises(AttributeError, match=r"knuckle\.mediapipe has no pose"):
            place.pose  # noqa: B018
        assert not hasattr(place, "pose")
    assert mp.__version__ == "0.10.21"


def run(program: str, line: str, *arguments: object) -> list[str]:
    """Run a program in which one line about the import was put in the place of another."""
    code = (HERE / "programs" / program).read_text()
    assert code.count("import mediapipe as mp\n") == 1
    code = code.replace("import mediapipe as mp\n", line)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestProgramsOfOthers:
    """One import line is changed; everything else stays."""

    ours = "import knuckle.mediapipe as mp\n"
    stand_in = "import knuckle.mediapipe.stand_in, mediapipe as mp\n"

    def test_a_loop_that_draws(self, tmp_path: Path) -> None:
        out = tmp_path / "shown.png"
        places = run("webcam.py", self.ours, CLIP, out)
        assert len(places) == 12
        assert cv2.imread(str(out)).shape == (480, 640, 3)

    def test_a_classifier(self) -> None:
        said = run("classifier.py", self.ours, CLIP)
        assert len(said) == 12
        assert set(said) == {"Right first"}

    def test_a_retargeter_that_imports_parts(self) -> None:
        said = run("retarget.py", self.stand_in, CLIP)
        assert len(said) >= 10  # it asks for hands that are surer than most programs do
        assert all(0.07 < float(line.split()[0]) < 0.11 for line in said)
        assert all(line.endswith("True") for line in said)


#: An environment with mediapipe 0.10.21, where there is one.
PEER = Path(os.environ.get("KNUCKLE_PEERS_PYTHON", REPOSITORY / ".venv-peers/bin/python"))

if PEER.is_file():

    def test_the_recording_is_what_mediapipe_answers(tmp_path: Path) -> None:
        frames_path, out = tmp_path / "frames.npz", tmp_path / "recorded.json"
        np.savez(frames_path, *IMAGES)
        script = REPOSITORY / "benchmarks/peers/mediapipe_shape.py"
        command = [str(PEER), str(script), str(frames_path), str(out)]
        subprocess.run(command, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
        fresh = json.loads(out.read_text())
        assert fresh["names"] == RECORDED["names"]
        for ours, theirs in zip(fresh["solutions"], RECORDED["solutions"], strict=True):
            assert (ours["hands"] is None) == (theirs["hands"] is None)
            for hand, recorded in zip(ours["hands"] or [], theirs["hands"] or [], strict=True):
                assert hand["label"] == recorded["label"]
                np.testing.assert_allclose(hand["landmarks"], recorded["landmarks"], atol=2e-3)
