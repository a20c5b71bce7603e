"""Hands in 3D in the browser, in front of the picture that they were found in.

The scene is in metres, in the camera's frame. The picture stands behind the hands where the camera
would see it, so that from the camera's place each hand covers itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

import cv2
import numpy as np
import trimesh
import viser

from knuckle.address import shown
from knuckle.bones import bone_frames, quaternions
from knuckle.camera import Camera
from knuckle.closable import Closable
from knuckle.draw import FINGER_COLOURS, SIDE_COLOURS, WRIST_COLOUR
from knuckle.errors import InputError
from knuckle.hand import BONES, FINGERS, N_BONES, N_JOINTS, Joint, Side
from knuckle.mesh import hand_skin
from knuckle.output.draw import draw_hands
from knuckle.results import HandPose
from knuckle.up import OF_CAMERA, to_y_up
from knuckle.viewer.gate import Gate, gated, port_to_serve_on

#: Radii of joints and bones, metres: a little less than a finger is thick.
JOINT_RADIUS_M, BONE_RADIUS_M = 0.0065, 0.0042
#: A rod, as ``bones.bone_frames`` turns it.
_ALONG_Y = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_SKIN_COLOUR = (199, 143, 115)
#: How far behind the farthest joint the picture stands, metres.
_BEHIND_M = 0.12
#: Pictures are sent this wide, as JPEG: enough to see, little enough for 30 a second.
_SENT_WIDTH, _JPEG_QUALITY = 480, 75
#: The panel stands beside the scene and leaves it most of a small window.
_PANEL_WIDTH_PX = 300
#: So long a last word may be on its way to the page before the server stops.
_LAST_WORD_S = 0.3
#: From where a world is looked at.
_AWAY_M = 0.6


@dataclass(frozen=True)
class StageSettings:
    """Where the page is served."""

    host: str = "127.0.0.1"  # only this machine unless told otherwise: pictures of people are shown
    port: int = 8080  # the next free one is taken if it is not free; 0 for any free one

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise InputError(f"a port is a number from 0 (any) to 65535, got {self.port}")


class Stage(Closable):
    """A page that shows one frame at a time, at ``url``. Use it in a ``with`` block."""

    def __init__(
        self,
        settings: StageSettings,
        title: str,
        *,
        size: tuple[int, int],
        max_hands: int,
        up: str | None = None,
    ) -> None:
        """Start serving a page for pictures (width, height) and at most so many hands at a time.

        ``up`` is the axis of a world that points up; None for hands in a camera's frame.

        Raises:
            OutputError: the host is none of this machine's, or other pages could not be kept out.
        """
        port = port_to_serve_on(settings.host, settings.port)
        with (
            gated(Gate(settings.host)),
            redirect_stdout(StringIO()),  # it draws a box with its address even so
        ):
            self.server = viser.ViserServer(
                host=settings.host,
                port=port,
                label=f"Knuckle: {shown(title)}",
                verbose=False,
            )
        host = self.server.get_host()
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.server.get_port()}"
        self._up = up
        #: From a camera's axes to those of the hands' frame.
        self._turned = to_y_up(up or OF_CAMERA).T @ to_y_up(OF_CAMERA)
        self.server.scene.set_up_direction(tuple(self._turned @ [0.0, -1.0, 0.0]))
        gui = self.server.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(_PANEL_WIDTH_PX)
        # From the top: picture, controls, what is seen, how it is looked at.
        self._picture = Picture(self.server, size)
        self.controls = gui.add_folder(None)  # to add controls to
        self._text = gui.add_markdown("")
        with gui.add_folder("View"):
            self._picture.add_options(gui)
            self._skin = gui.add_checkbox("Skin", initial_value=False)
            self._turn = gui.add_checkbox("Swing around the hands", initial_value=False)
        self._hands = [HandModel(self.server, index) for index in range(max_hands)]
        self._shown: Sequence[HandPose] = ()
        self._skin.on_update(lambda _: self._show_hands(self._shown))
        self._middle_m, self._seen = np.array([0.0, 0.0, 0.6]), False
        self._angle = 0.0
        self.server.on_client_connect(self._look_from_beside)

    def show(
        self,
        image: np.ndarray | None,
        hands: Sequence[HandPose],
        camera: Camera,
        status: str | None = None,
    ) -> None:
        """Replace what is on the page: a picture (H, W, 3) uint8 RGB, if any, and its hands.

        A status of None leaves the line above the numbers of the hands, and these.
        """
        hands = hands[: len(self._hands)]
        in_3d = [hand for hand in hands if np.isfinite(hand.joints_mm).all()]  # labels need not be
        joints_m = np.concatenate([h.joints_mm for h in in_3d]) / 1000 if in_3d else None
        with self.server.atomic():
            self._show_hands(in_3d)
            if image is not None:
                self._picture.show(image, hands, camera, joints_m)
            if status is not None:
                self._text.content = f"{status}\n\n{wrist_table(hands, camera)}"
        if joints_m is not None:
            self._follow(np.median(joints_m, axis=0))
        if self._turn.value:
            self._orbit()

    def _show_hands(self, hands: Sequence[HandPose]) -> None:
        """Give each model a hand, and none to those that are left over."""
        self._shown = hands
        for model, hand in zip(self._hands, [*hands, *[None] * len(self._hands)], strict=False):
            model.show(hand, skin=self._skin.value)

    def say_last(self, text: str) -> None:
        """Leave a line on the page that stays there when the server is gone."""
        self._text.content = text
        self.server.flush()
        if self.server.get_clients():
            time.sleep(_LAST_WORD_S)

    def close(self) -> None:
        """Stop serving."""
        with redirect_stdout(StringIO()):
            self.server.stop()

    def _follow(self, middle_m: np.ndarray) -> None:
        """Where to look: at once to the first hands, and calmly after those that come later."""
        share = 0.1 if self._seen else 1.0
        self._middle_m = (1 - share) * self._middle_m + share * middle_m
        if not self._seen:
            self._seen = True
            for client in self.server.get_clients().values():
                self._look_from_beside(client)

    @property
    def _away_m(self) -> float:
        """From the lens to the hands. A world has no lens at its origin, which may be anywhere."""
        return float(np.linalg.norm(self._middle_m)) if self._up is None else _AWAY_M

    def _look_from_beside(self, client: viser.ClientHandle) -> None:
        with client.atomic():
            client.camera.up_direction = tuple(self._turned @ [0.0, -1.0, 0.0])
            beside = np.array([0.32, -0.2, -0.62]) * self._away_m
            client.camera.position = tuple(self._middle_m + self._turned @ beside)
            client.camera.look_at = tuple(self._middle_m)

    def _orbit(self) -> None:
        """Swing around the hands, to and fro, as one turns an object to see its depth."""
        self._angle += 0.02
        turn = 0.7 * np.sin(self._angle)
        offset = np.array([np.sin(turn), -0.25, -np.cos(turn)]) * 0.7 * self._away_m
        offset = self._turned @ offset
        for client in self.server.get_clients().values():
            with client.atomic():
                client.camera.position = tuple(self._middle_m + offset)
                client.camera.look_at = tuple(self._middle_m)


class HandModel:
    """One hand made of balls and rods, or of skin: meshes that are updated in place."""

    def __init__(self, server: viser.ViserServer, index: int) -> None:
        def copies(
            name: str, mesh: trimesh.Trimesh, scales: np.ndarray, colours: np.ndarray
        ) -> viser.BatchedMeshHandle:
            """So many of one mesh as there are scales, to be put into their places."""
            return server.scene.add_batched_meshes_simple(
                f"/hands/{index}/{name}",
                mesh.vertices.astype(np.float32),
                mesh.faces.astype(np.uint32),
                np.tile([1.0, 0.0, 0.0, 0.0], (len(scales), 1)),
                np.zeros((len(scales), 3)),
                batched_scales=scales,
                batched_colors=colours,
                lod="off",
                visible=False,
            )

        colours = joint_colours()
        ball = trimesh.creation.icosphere(subdivisions=2)
        # Without ends: those are inside the joints' balls.
        rod = trimesh.creation.cylinder(1.0, segment=_ALONG_Y, sections=12, cap=False)
        self._joints = copies("joints", ball, np.full(N_JOINTS, JOINT_RADIUS_M), colours)
        self._bones = copies("bones", rod, np.ones((N_BONES, 3)), colours[BONES[:, 1]])
        self._label = server.scene.add_label(
            f"/hands/{index}/label", "", anchor="top-center", visible=False
        )
        self._skin = server.scene.add_mesh_simple(
            f"/hands/{index}/skin",
            (hand_skin().vertices_mm / 1000).astype(np.float32),
            hand_skin().faces.astype(np.uint32),
            color=_SKIN_COLOUR,
            side="double",  # it is open at the wrist
            visible=False,
        )
        self._side: Side | None = None
        self._skinned: Side = "right"

    def show(self, hand: HandPose | None, *, skin: bool = False) -> None:
        """Take the pose of a hand, or go away."""
        for part in (self._joints, self._bones):
            part.visible = hand is not None and not skin
        self._label.visible = hand is not None
        self._skin.visible = hand is not None and skin
        if hand is None:
            return
        if skin:
            mesh = hand.mesh()
            self._skin.vertices = (mesh.vertices_mm / 1000).astype(np.float32)
            if hand.side != self._skinned:
                self._skinned = hand.side
                self._skin.faces = mesh.faces.astype(np.uint32)
        if hand.side != self._side:
            self._side = hand.side
            self._joints.batched_colors = joint_colours(hand.side)
        joints_m = (hand.joints_mm / 1000).astype(np.float32)
        self._joints.batched_positions = joints_m
        # A joint that is uncertain is small: its ball says how far it can be trusted.
        trust = 0.55 + 0.45 * np.clip(hand.joint_score, 0, 1)
        self._joints.batched_scales = (JOINT_RADIUS_M * trust).astype(np.float32)
        self._bones.batched_positions = joints_m[BONES[:, 0]]
        turns = quaternions(bone_frames(hand.joints_mm, hand.side))
        self._bones.batched_wxyzs = np.roll(turns, 1, axis=1)  # viser has w first
        scales = np.full((N_BONES, 3), BONE_RADIUS_M)
        scales[:, 1] = hand.bone_lengths_mm / 1000
        self._bones.batched_scales = scales
        track_id = getattr(hand, "track_id", None)
        self._label.text = hand.side if track_id is None else f"{hand.side} {track_id}"
        self._label.position = tuple(joints_m[Joint.WRIST] + (0.0, 0.015, 0.0))


class Picture:
    """The frame, behind the hands and in the panel."""

    def __init__(self, server: viser.ViserServer, size: tuple[int, int]) -> None:
        blank = np.zeros((*_sent_size(*size)[::-1], 3), np.uint8)
        self._panel = server.gui.add_image(blank, format="jpeg", jpeg_quality=_JPEG_QUALITY)
        self._screen = server.scene.add_image(
            "/picture",
            blank,
            1.0,
            1.0,
            format="jpeg",
            jpeg_quality=_JPEG_QUALITY,
            cast_shadow=False,
            receive_shadow=False,
        )
        self._depth_m = 1.0

    def add_options(self, gui: viser.GuiApi) -> None:
        """Let people choose what is seen of it."""
        self._shown = gui.add_checkbox("Picture behind the hands", initial_value=True)
        self._drawn = gui.add_checkbox("Joints drawn on the picture", initial_value=True)

    def show(
        self,
        image: np.ndarray,
        hands: Sequence[HandPose],
        camera: Camera,
        joints_m: np.ndarray | None,
    ) -> None:
        """Show a frame; ``joints_m`` (n, 3) are all joints in front of it."""
        height, width = image.shape[:2]
        if joints_m is not None:
            behind = float(joints_m[:, 2].max()) + _BEHIND_M
            self._depth_m = max(behind, 0.9 * self._depth_m + 0.1 * behind)  # follow calmly
        small = _shrink(image)
        self._panel.image = _shrink(draw_hands(image, hands)) if self._drawn.value else small
        self._screen.visible = self._shown.value
        if not self._shown.value:
            return
        self._screen.image = small
        self._screen.render_width = width / camera.fx * self._depth_m
        self._screen.render_height = height / camera.fy * self._depth_m
        middle = (
            ((width - 1) / 2 - camera.cx) / camera.fx,
            ((height - 1) / 2 - camera.cy) / camera.fy,
        )
        self._screen.position = (*(np.array(middle) * self._depth_m), self._depth_m)


def _shrink(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    size = _sent_size(width, height)
    return image if size[0] == width else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _sent_size(width: int, height: int) -> tuple[int, int]:
    """Width and height, px, in which a picture of this size is sent."""
    if width <= _SENT_WIDTH:
        return width, height
    return _SENT_WIDTH, max(round(height * _SENT_WIDTH / width), 1)


def wrist_table(hands: Sequence[HandPose], camera: Camera) -> str:
    """Markdown: where each wrist is, and what that relies on."""
    if not hands:
        return "no hand"
    lines = ["| wrist, mm | right | down | forward | sure |", "|---|--:|--:|--:|--:|"]
    for hand in hands:
        x, y, z = (f"{value:.0f}" if np.isfinite(value) else "-" for value in hand.root_mm)
        lines.append(f"| {hand.side} | {x} | {y} | {z} | {hand.score:.0%} |")
    if camera.assumed:
        lines += ["", "Lens assumed: distances may all be off by one factor. `--camera` sets it."]
    return "\n".join(lines)


def joint_colours(side: Side | None = None) -> np.ndarray:
    """(21, 3) uint8: the colours of the overlay, deeper, because light makes surfaces paler.

    The wrist has the colour of the side, if there is one.
    """
    wrist = WRIST_COLOUR if side is None else SIDE_COLOURS[side]
    fingers = np.repeat(np.array(FINGER_COLOURS), FINGERS.shape[1], axis=0)
    flat = np.concatenate([np.array([wrist]), fingers])
    return np.round(255 * (flat / 255) ** 1.8).astype(np.uint8)
