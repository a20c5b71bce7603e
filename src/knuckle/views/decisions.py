"""Every number that decides in ``views/``, by what it decides on.

Where nothing else stands beside a number it was set by hand, and a change is held against
``benchmarks/views.py``. How motion is steadied stands with its filters (``steady.py``). A miss, a
strain or a doubt without a unit counts expected errors: 1 is as the look itself says. Sizes, shares
and spreads of lengths are standard deviations of logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class People:
    """How people's hands differ.

    Attributes:
        size: in size. Networks do not see it, so without a length no distance is surer.
        least_size, most_size: a child's hand and a very large one, over the mean adult's.
    """

    size: float = 0.08
    least_size: float = 0.5
    most_size: float = 1.45


@dataclass(frozen=True)
class Matching:
    """Which looks of different cameras are of one hand.

    Attributes:
        most_cost: above it two looks are not of one hand; a pair at one hand costs 1 to 3.
        size_spread: so much larger or smaller than expected costs 1, as people differ and as rays
            shake; logarithm.
        side_cost: what it costs that both cameras are sure of different sides.
        together: hands that were one in the last instant cost less by this.
    """

    most_cost: float = 6.0
    size_spread: float = 0.18
    side_cost: float = 8.0
    together: float = 2.0


@dataclass(frozen=True)
class Looking:
    """How sure looks are, and when a camera looks once more.

    Attributes:
        least_share: no keypoint is surer than this share of the hand's extent: the networks' joints
            and people's lie a little apart, the same way in every frame, and no score knows of it.
        reach, guesses: what one camera sees alone is looked for at so many distances, by up to so
            much farther or nearer than it says; logarithm.
        near: a look shows the hand that it should if its joints lie so near to where they should
            be, on average, as a share of the hand's extent,
        least_right: and if it is of the hand's side with at least this probability.
        least_score, least_of_missed: least score of a look at a hand that the camera sees anyhow,
            and of one that it has missed.
        vain_s: a camera that looked in vain for a hand which others see looks again after so long,
            s.
    """

    least_share: float = 0.02
    reach: float = 0.24
    guesses: int = 5
    near: float = 0.3
    least_right: float = 0.2
    least_score: float = 0.3
    least_of_missed: float = 0.5
    vain_s: float = 0.15


@dataclass(frozen=True)
class Meeting:
    """Which rays are believed.

    Attributes:
        rounds: of weighting by depth; Hartley and Sturm see convergence in fewer.
        gate: a ray is believed while it misses the point of the others by no more than this. Errors
            of hidden joints have long tails: 3 would cut into good ones.
        most_doubtless: half of a hand's joints miss by less than this if a camera is right.
        most_doubt: a camera that is wrong about a hand is at most so many times as unsure as it
            says.
        nothing: information of knowing nothing, 1/mm²: keeps finite what no ray tells.
    """

    rounds: int = 3
    gate: float = 4.0
    most_doubtless: float = 1.5
    most_doubt: float = 10.0
    nothing: float = 1e-9


@dataclass(frozen=True)
class Fitting:
    """How a hand of known bones is laid through rays.

    Attributes:
        steps: of Gauss and Newton at most.
        still_mm: what moves no joint by more is as good as there, mm.
        bone_mm, new_bone: bones that are known hold within so many mm, bones of a hand that is new
            within this share.
        distance_doubt: what one camera says of depth is mostly off as a whole, by this share of the
            hand's distance, once its size is known,
        tilt_doubt: and by a tilt about both axes of the picture, tangent of its angle.
        shape_doubt: beside that each joint errs by less than its sigma, but as its finger does:
            sigmas count so many times as long as if joints erred by themselves.
        common: all keypoints of a look are off by a common part, this share of what each is off.
        freedom: degrees of Student's t, as which keypoints err: most by less than is expected, some
            by many times as much.
        inertia: keeps what nothing says anything about where it was, 1/mm².
    """

    steps: int = 4
    still_mm: float = 0.1
    bone_mm: float = 0.7
    new_bone: float = 0.10
    distance_doubt: float = 0.06
    tilt_doubt: float = 0.2
    shape_doubt: float = 1.3
    common: float = 0.8
    freedom: float = 4.0
    inertia: float = 1e-5


@dataclass(frozen=True)
class Measuring:
    """How the bones of the people before a rig become known.

    Attributes:
        finger, bone: how a finger differs from the rest of its hand, a bone from the rest of its
            finger.
        beside_mm: keypoints lie beside joints, the same way in every look, by so much along a
            finger, mm.
        most_unsure: a bone that is seen worse is told longer than it is, on average: its look tells
            nothing.
        most_strain: rays that contradict each other count as if they missed by this at most.
        alike_s: looks at one pose err alike: those within so many seconds are as good as one.
        most_alike: more looks are never taken for as good as one.
        sure: lengths that are as sure as this may be locked.
        telling: so many looks tell the size, whatever people's usually is.
    """

    finger: float = 0.03
    bone: float = 0.03
    beside_mm: float = 4.0
    most_unsure: float = 0.25
    most_strain: float = 20.0
    alike_s: float = 0.25
    most_alike: float = 10.0
    sure: float = 0.025
    telling: int = 5


@dataclass(frozen=True)
class Returning:
    """Who comes back.

    Attributes:
        near_mm, far_mm_s: a hand that comes back is the one that went if it is so near, mm, and so
            many mm more a second.
    """

    near_mm: float = 80.0
    far_mm_s: float = 1000.0


@dataclass(frozen=True)
class ByHands:
    """How cameras are calibrated from hands.

    Attributes:
        most_shapes, least_shapes: so many looks at hands are enough, spread over the recording, and
            so few are too few.
        least_shared: a pair of cameras needs so many hands in common to be joined.
        rounds: in which looks are grouped anew by where they meet.
        clocks: rounds in which rays tell clocks, and cameras are placed anew.
        least_fitting: of the hands that cameras see on one side, this share must fit the poses.
        tried: hands from which the ways to begin are compared.
        huber: a ray that misses by more than this counts less, the farther the less.
        most_strain: a hand whose joints miss by more than this, half of them, is two hands, or of
            two instants.
        bone_mm, proportions: bones hold within so many mm, people's proportions within this share.
        steps: of Levenberg and Marquardt at most.
        offset: seen from one direction, a keypoint lies a little beside its joint, the same way in
            every look: by so much, as a share of the hand's extent. No number of looks averages it
            out.
        most_offset: a camera whose keypoints would lie farther beside the joints than this sees
            other hands: the two of a person that are taken for one, for instance.
        as_one: looks at one motion err together as well: so many count as one. By the boards of
            real rigs.
        known_length, known_scale: a length of the hand that was given is as sure as this to begin
            with, and all distances that follow from it are as sure as that.
    """

    most_shapes: int = 80
    least_shapes: int = 12
    least_shared: int = 8
    rounds: int = 2
    clocks: int = 2
    least_fitting: float = 0.6
    tried: int = 20
    huber: float = 1.5
    most_strain: float = 4.0
    bone_mm: float = 1.0
    proportions: float = 0.05
    steps: int = 25
    offset: float = 0.015
    most_offset: float = 0.032
    as_one: float = 14.0
    known_length: float = 0.005
    known_scale: float = 0.02


@dataclass(frozen=True)
class ByBoards:
    """How cameras are calibrated from a board.

    Attributes:
        least_corners: fewer do not fix a pose.
        least_shared: a pair of cameras needs so many looks at a time to be joined.
        most_looks: so many looks are enough, spread over the recording.
        huber_px: a corner that misses by more px counts less, the farther the less.
        wrong_px: a look that misses by more px, half of its corners, is left out.
        steps: of Levenberg and Marquardt at most.
        as_one: corners of one look err together, as lens and board are not quite as described: so
            many count as one.
    """

    least_corners: int = 6
    least_shared: int = 3
    most_looks: int = 120
    huber_px: float = 1.0
    wrong_px: float = 4.0
    steps: int = 30
    as_one: float = 10.0


@dataclass(frozen=True)
class Syncing:
    """When recordings began.

    Attributes:
        grid_s: motions are compared on a grid this fine, s.
        most_s, most_share: longest shift that is looked for, s, and as a share of the shorter
            video.
        least_s: bends are compared over at least so long, s.
        least_likeness: bends that agree less than this do not tell when they were; correlation.
        peak_s, doubtful: a second shift, farther off than this, s, whose likeness is more than this
            share of the best makes that doubtful.
        contradiction_s: offsets between three videos that contradict each other by more, s, are
            none.
        slow_s: what changes more slowly than over this long, s, says little about when it was.
    """

    grid_s: float = 1 / 120
    most_s: float = 10.0
    most_share: float = 0.6
    least_s: float = 1.5
    least_likeness: float = 0.55
    peak_s: float = 0.4
    doubtful: float = 0.92
    contradiction_s: float = 0.1
    slow_s: float = 1.0


@dataclass(frozen=True)
class Timing:
    """What cameras see between their frames.

    Attributes:
        same_s: instants that are nearer than this, s, are one.
        most_gap_s: between two looks farther apart than this, s, a hand may have been anywhere.
        sway_hz: hands move to and fro so many times a second: so far off the straight way between
            two looks they may be.
        speed_mm_s: so fast a hand is of which there is one look alone.
        memory_s: looks are kept for so long, s.
        most_late_s: a camera that is later than this, s, is for a recording to put right.
    """

    same_s: float = 5e-4
    most_gap_s: float = 0.3
    sway_hz: float = 2.0
    speed_mm_s: float = 300.0
    memory_s: float = 1.0
    most_late_s: float = 0.5


@dataclass(frozen=True)
class Lateness:
    """How late cameras are, by their rays.

    Attributes:
        most_frames: at all shifts so many frames are compared, spread over the recording.
        most_missed: a joint that misses by more than this misses altogether.
        least_likeness, doubtful: as of ``Syncing``; 0 is how rays meet with most shifts, 1 that
            they do not miss at all.
        frames, least_window_s: hands go a smooth way over so many frames of the slowest camera,
            and over so long, s.
        degree: of the polynomials of that way.
        least_frames: a camera with fewer frames of a hand in a window has no say.
        stiff: so much stronger than by the rays ways are kept straight to begin with.
        swing: how much a joint's acceleration varies, in sizes of the hand squared per s³: hands
            swing to and fro by as much as they are large, once or twice a second.
        shake: from frame to frame keypoints shake by this share of what they are off,
        beside: and lie beside joints by so many times that, the same way for a while.
        freedom: degrees of Student's t, as which they err.
        rounds: of weighting by depth and miss.
        most_strain: hands that miss by so many times the usual are two.
        least_motion: of what seems motion, this share must be more than shaking.
        steps, stride_s, still_s: clocks move in so many steps at most, each no longer than this, s,
            until one is as short as that.
        least_doubt_s: fast motion is not quite as smooth as taken, and keypoints err with it: that
            moves clocks by so much, s, however long the recording. By real videos whose frames were
            left out, so that clocks differ by what is known.
        most_doubt_s: clocks that are less sure are not told, s.
    """

    most_frames: int = 200
    most_missed: float = 4.0
    least_likeness: float = 0.3
    doubtful: float = 0.85
    frames: int = 8
    least_window_s: float = 0.5
    degree: int = 6
    least_frames: int = 4
    stiff: float = 1000.0
    swing: float = 70.0
    shake: float = 0.2
    beside: float = 10.0
    freedom: float = 4.0
    rounds: int = 4
    most_strain: float = 4.0
    least_motion: float = 0.3
    steps: int = 12
    stride_s: float = 0.05
    still_s: float = 5e-4
    least_doubt_s: float = 0.005
    most_doubt_s: float = 0.04


@dataclass(frozen=True)
class Scaling:
    """How long a unit is.

    Attributes:
        least_hands: fewer say nothing.
        most_strain: rays that miss each other by more than this are of different hands.
        usual_distance_mm: before the unit is known, cameras are taken to stand so far apart, mm.
    """

    least_hands: int = 10
    most_strain: float = 2.5
    usual_distance_mm: float = 700.0


#: Those that Knuckle decides by.
PEOPLE, MATCHING, LOOKING, MEETING = People(), Matching(), Looking(), Meeting()
FITTING, MEASURING, RETURNING = Fitting(), Measuring(), Returning()
BY_HANDS, BY_BOARDS, SYNCING = ByHands(), ByBoards(), Syncing()
TIMING, LATENESS, SCALING = Timing(), Lateness(), Scaling()
