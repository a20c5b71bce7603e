"""Hands before several calibrated cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from knuckle.errors import InputError
from knuckle.hand import N_JOINTS
from knuckle.pipeline.settings import told, with_options
from knuckle.results import Frame, HandPose, Instant, TrackedHand
from knuckle.track.clock import Clock
from knuckle.track.track import TrackIds
from knuckle.turn import Turn
from knuckle.video.clocks import JointClock
from knuckle.views.again import Place, as_seen, places, shows
from knuckle.views.between import Moments
from knuckle.views.bones import RigBones
from knuckle.views.cameras import Cameras, picture_size
from knuckle.views.decisions import LOOKING, RETURNING, TIMING
from knuckle.views.hand import RigHand
from knuckle.views.looks import Looks
from knuckle.views.matching import group
from knuckle.views.meeting import Meeting
from knuckle.views.remarks import Remarks
from knuckle.views.rig import Rig
from knuckle.views.settings import STEADIERS, RigOptions, RigSettings, refuse_of_one_camera
from knuckle.views.track import RigTrack

#: One of each camera, None where it has none.
Frames = Sequence[Frame | np.ndarray | None]


@dataclass(frozen=True, eq=False)
class _Scene:
    """What cameras see in an instant: looks, whose track each was, and which are of one hand."""

    looks: Looks
    owners: dict[int, int]
    meetings: list[Meeting]


class RigTracker:
    """Tracks hands with several calibrated cameras.

    Give it one frame of each camera, of the same instant, in the order of the rig. Each camera is
    tracked by itself, and the views of one hand are combined in the world.

    The frames of an instant need not be simultaneous: an ``Instant`` says how far apart they are,
    and the rig which cameras are late (``RigCamera.late_s``). What each camera sees is interpolated
    between its last frames to the earliest of their times. Hands are therefore where they were
    before ``time_s``, by as many seconds as the latest camera is late.

    Example:
        >>> tracker = RigTracker(Rig.load("rig.toml"))
        >>> for frames in open_sources(["a.mp4", "b.mp4"]):
        ...     for hand in tracker(frames):
        ...         print(hand.track_id, hand.side, hand.root_mm, hand.sigma_mm.mean())
    """

    def __init__(
        self, rig: Rig, settings: RigSettings | None = None, **options: Unpack[RigOptions]
    ) -> None:
        """Create a tracker.

        Args:
            rig: the cameras.
            settings: see ``RigSettings``.
            **options: fields of ``RigSettings`` by name.

        Raises:
            TypeError: there is no such option.
            ValueError: an option is out of range, or a camera is late by more than half a second.
        """
        if not isinstance(rig, Rig):
            raise TypeError(
                f"rig must be a knuckle.Rig, got {type(rig).__name__}: read a file with "
                "Rig.load(path)"
            )
        self.rig = rig
        self._turn, self._clock, self._clocks = Turn(), Clock(), JointClock()
        refuse_of_one_camera(options)
        #: How much later the picture was taken that a camera has at one time with the latest one's.
        self._ahead_s = _ahead_of_the_latest(rig)
        self.settings = with_options(RigSettings, settings, options)
        if self.settings.least_views > len(rig):
            raise InputError(
                f"no hand would ever begin: least_views is {self.settings.least_views}, "
                f"{rig.source} has {len(rig)} cameras"
            )
        self._cameras = Cameras(rig, self.settings)
        self._moments = Moments(len(rig))
        self._ids = TrackIds()
        self._bones, self._remarks = self._new_bones(), Remarks(rig.names)
        self.reset()

    def __repr__(self) -> str:
        followed = ", ".join(str(track.track_id) for track in self._tracks)
        return (
            f"<RigTracker({told(self.settings)}) of {', '.join(self.rig.names)}, follows hands: "
            f"{followed or 'none'}>"
        )

    @property
    def versions(self) -> dict[str, str]:
        """Version of the weights of each network, by kind. Loads the networks."""
        return self._cameras.trackers[0].versions

    @property
    def bone_lengths_mm(self) -> np.ndarray:
        """(20,) bone lengths of the person, as known so far, mm."""
        return self._bones.lengths_mm

    @property
    def remarks(self) -> list[str]:
        """What looks wrong with the rig, judging by the hands so far; one sentence each."""
        return self._remarks.of(self.rig.source, self._bones)

    def reset(self) -> None:
        """Forget all hands; ids continue, and the person's bone lengths are kept."""
        with self._turn:
            self._forget_all()
            self._clocks.reset()
            self._cameras.reset()

    def _forget_all(self) -> None:
        """As before the first instant; what single cameras follow is theirs to forget."""
        self._tracks: list[RigTrack] = []
        #: When a camera looked in vain for a hand that another sees.
        self._vain: dict[tuple[int, int, int], float] = {}
        self._moments.reset()
        self._clock.reset()

    def __call__(self, frames: Frames) -> list[RigHand]:
        """Track the hands at the next instant.

        Each camera first looks on its own. If it missed what others see, or looked through a crop
        other than the one that the hand's position in space defines, it looks once more. The next
        frame's looks start from where all cameras together see the hand.

        Args:
            frames: one for each camera in the rig's order, a ``Frame`` or a bare (H, W, 3) RGB
                image; None where a camera has none. An ``Instant``, as from ``open_sources``, has
                its own time; otherwise it is that of the first camera's frame, and bare images are
                taken to come 1/30 s after the previous ones. The cameras' clocks may differ.

        Returns:
            The hands, in the order of their ids. An instant that is much earlier than the previous
            one starts a new recording, with new hands.

        Raises:
            ValueError: there are more or fewer frames than cameras, or the size of one differs from
                that at which its camera was calibrated.
        """
        with self._turn:
            views = self.look(frames)
            if isinstance(frames, Instant):
                time_s = self._turn_to(frames.time_s, frames.later_s)
            else:
                time_s = self._turn_to(self._clocks.read(frames))
            scene = self._scene(views)
            if self._look_again(scene, views, frames, time_s):
                scene = self._scene(views)
            hands = self._hands(scene, time_s)
            self._lead(hands, scene.looks)
            self._moments.keep(views)
            return hands

    def look(self, frames: Frames) -> list[list[TrackedHand]]:
        """What each camera sees on its own: the first part of a call."""
        return self._cameras.see(frames)

    def put_together(
        self,
        views: Sequence[Sequence[TrackedHand]],
        time_s: float,
        later_s: Sequence[float] | None = None,
    ) -> list[RigHand]:
        """The hands of the rig from those of its cameras; the last part of a call.

        ``views`` are the hands that each camera sees, in a frame that is by ``later_s`` (V,) later
        than the instant, by default none.
        """
        time_s = self._turn_to(time_s, later_s)
        hands = self._hands(self._scene(views), time_s)
        self._moments.keep(views)
        return hands

    def _turn_to(self, given_s: float | None, later_s: Sequence[float] | None = None) -> float:
        """Begin an instant, and forget what was long ago; returns its time, later than the last."""
        if given_s is not None and self._clock.is_new_video(given_s):
            self._forget_all()
        time_s = self._clock.tick(given_s)
        self._tracks = [
            track
            for track in self._tracks
            if time_s - track.seen_s <= self.settings.memory_s and not track.sides.given_up
        ]
        self._vain = {who: at for who, at in self._vain.items() if time_s - at < LOOKING.vain_s}
        apart_s = 0.0 if later_s is None else np.asarray(later_s, float)
        self._moments.turn_to(time_s, apart_s + self._ahead_s)
        return time_s

    def _scene(self, views: Sequence[Sequence[TrackedHand]]) -> _Scene:
        looks = Looks.of(views, self._moments.bring)
        owners = self._owners(looks)
        groups = group(self.rig, looks, owners, self._bones.size)
        return _Scene(looks, owners, [Meeting(self.rig, looks, each) for each in groups])

    def _hands(self, scene: _Scene, time_s: float) -> list[RigHand]:
        """The hands that are there, in the order of their ids."""
        assigned = self._assigned(scene, time_s)
        hands = [self._see(track, meeting, time_s) for track, meeting in assigned]
        there = sorted((hand for hand in hands if hand is not None), key=lambda h: h.track_id)
        self._remarks.see(scene.looks.camera, there)
        return there

    def _look_again(
        self, scene: _Scene, views: list[list[TrackedHand]], frames: Frames, time_s: float
    ) -> bool:
        """A second look of cameras to whom the others can tell something.

        Whether anything new was seen: it is among the ``views`` then.
        """
        looks, meetings, news = scene.looks, scene.meetings, False
        several = [meeting for meeting in meetings if len(meeting) > 1]
        if len(several) >= self.settings.max_hands:
            meetings = several  # what one camera sees alone is no further hand
        sizes = [picture_size(frame) for frame in frames]
        asked: list[list[Place]] = [[] for _ in self.rig.cameras]
        for place in places(meetings, self._bones.lengths_mm, sizes):
            if self._is_worth_a_look(place, looks):
                asked[place.camera].append(place)
        for of_camera, seen in zip(asked, self._cameras.look_at(asked), strict=True):
            for place, pose in zip(of_camera, seen, strict=True):
                if shows(self.rig, looks, place, pose):
                    self._take_in(place, pose, looks, views[place.camera])
                    news = True
                else:
                    self._vain[_key(place, looks)] = time_s
        return news

    def _take_in(self, place: Place, pose: HandPose, looks: Looks, view: list[TrackedHand]) -> None:
        """A second look among those of its camera (``view``), instead of the first one."""
        tracker = self._cameras.trackers[place.camera]
        if place.own is None:
            view.append(tracker.adopt(pose))
            return
        own = looks.hands[place.own]
        view.remove(own)
        same_side = own.side == pose.side
        seen = as_seen(own, pose) if same_side else tracker.adopt(pose, instead_of=own.track_id)
        view.append(seen)

    def _is_worth_a_look(self, place: Place, looks: Looks) -> bool:
        """Whether a second look may show something, and was not in vain a moment ago."""
        if _key(place, looks) in self._vain:
            return False
        if place.own is None:
            return True
        own, tracker = looks.hands[place.own], self._cameras.trackers[place.camera]
        return tracker.would_see_more(own.raw, place.side, place.guesses_px[0])

    def _lead(self, hands: Sequence[RigHand], looks: Looks) -> None:
        """Tell every camera where the hands are that it follows, as all cameras see them."""
        at = {id(hand): i for i, hand in enumerate(looks.hands)}
        for hand in hands:
            if len(hand.seen_by) < 2:
                continue
            for camera in hand.seen_by:
                view = hand.views[camera]
                joints_px = self.rig.cameras[camera].project(hand.raw_mm)
                if view is not None and np.isfinite(joints_px).all():
                    joints_px = joints_px + looks.since_px(at[id(view)])
                    self._cameras.trackers[camera].tell(view.track_id, joints_px)

    def _new_bones(self) -> RigBones:
        lengths = self.settings.bone_lengths_mm
        return RigBones(self.settings.lock_looks, None if lengths is None else np.array(lengths))

    def _owners(self, looks: Looks) -> dict[int, int]:
        """Look -> id of the track that the camera's own id belonged to."""
        known = {(camera, own): t.track_id for t in self._tracks for camera, own in t.ids.items()}
        pairs = ((i, (int(looks.camera[i]), hand.track_id)) for i, hand in enumerate(looks.hands))
        return {i: known[key] for i, key in pairs if key in known}

    def _assigned(self, scene: _Scene, time_s: float) -> list[tuple[RigTrack, Meeting]]:
        """The tracks of the meetings that are hands, the best seen first.

        A meeting goes to the track that most of its looks belonged to; one of no track to the
        hand that was lost nearby; else it is new, if enough cameras see it.
        """
        free = {track.track_id: track for track in self._tracks}
        assigned: list[tuple[RigTrack, Meeting]] = []
        newcomers = []
        for meeting in sorted(scene.meetings, key=len, reverse=True):
            wanted = [scene.owners[i] for i in meeting.members if i in scene.owners]
            known = [owner for owner in dict.fromkeys(wanted) if owner in free]
            if known:
                best = max(known, key=wanted.count)
                assigned.append((free.pop(best), meeting))
            else:
                newcomers.append(meeting)
        least, most = self.settings.least_views, self.settings.max_hands
        for meeting in newcomers:
            if len(meeting) < min(least, 2):
                continue
            back = self._returned(meeting, list(free.values()), time_s)
            if back is not None:
                assigned.append((free.pop(back.track_id), meeting))
            elif len(meeting) >= least and len(assigned) < most:
                assigned.append((self._begin(time_s), meeting))
        return assigned[:most]

    @staticmethod
    def _returned(meeting: Meeting, lost: list[RigTrack], time_s: float) -> RigTrack | None:
        """The hand that was lost near to where looks meet."""
        if len(meeting) < 2 or not lost:
            return None
        middle = np.nanmedian(meeting.points.mm, axis=0)
        for track in lost:
            if track.joints_mm is None:
                continue
            reach = RETURNING.near_mm + RETURNING.far_mm_s * (time_s - track.seen_s)
            if np.linalg.norm(track.joints_mm.mean(axis=0) - middle) < reach:
                return track
        return None

    def _begin(self, time_s: float) -> RigTrack:
        bones = self._bones if self.settings.one_person else self._new_bones()
        smooth = self.settings.smooth
        steady = STEADIERS[smooth]() if smooth else None
        track = RigTrack(next(self._ids), time_s, bones, steady)
        self._tracks.append(track)
        return track

    def _see(self, track: RigTrack, meeting: Meeting, time_s: float) -> RigHand | None:
        """The next look at a hand, by all cameras that see it; None until its side is decided."""
        looks, members, points = meeting.looks, meeting.members, meeting.points
        if len(meeting) > 1:
            track.bones.see(points, time_s)
        found = track.together.fit(meeting, track.bones, time_s)
        views: list[TrackedHand | None] = [None] * len(self.rig)
        moved_mm = np.outer(self._moments.later_s, track.velocity.per_s)
        used = np.zeros((len(self.rig), N_JOINTS), bool)
        for row, i in enumerate(members):
            views[looks.camera[i]] = looks.hands[i]
            used[looks.camera[i]] = points.used[row]
            track.ids[int(looks.camera[i])] = looks.hands[i].track_id
            moved_mm[looks.camera[i]] = meeting.moved_mm(i, found, moved_mm[looks.camera[i]])
        track.hear([looks.hands[i].raw for i in members])
        joints_mm = track.see(found, time_s)
        if not track.told:
            return None
        return RigHand(
            side=track.sides.side,
            side_score=track.sides.score,
            score=max(looks.hands[i].score for i in members),
            joints_mm=joints_mm,
            sigma_mm=found.sigma_mm,
            raw_mm=found.joints_mm,
            views=tuple(views),
            used=used,
            track_id=track.track_id,
            age_s=time_s - track.began_s,
            velocity_mm_s=track.velocity.per_s,
            moved_mm=moved_mm,
        )


def _ahead_of_the_latest(rig: Rig) -> np.ndarray:
    """(V,) s by which the picture of each camera is of a later moment than the latest one's.

    Refuses a rig of which some camera is too late to be waited for.
    """
    ahead_s = rig.late_s.max() - rig.late_s
    if ahead_s.max() > TIMING.most_late_s:
        late, early = rig.names[int(ahead_s.argmin())], rig.names[int(ahead_s.argmax())]
        raise InputError(
            f"{rig.source} says that {late} is {ahead_s.max():.3g} s later than {early}, which is "
            "when recordings began: open them with open_sources(..., offsets_s=rig.late_s), and "
            "give RigTracker rig.in_step()"
        )
    return ahead_s


def _key(place: Place, looks: Looks) -> tuple[int, int, int]:
    """Which camera looks for whom: a hand that some camera follows."""
    first = place.members[0]
    return place.camera, int(looks.camera[first]), looks.hands[first].track_id
