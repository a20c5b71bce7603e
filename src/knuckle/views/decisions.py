"""Every number that decides in ``views/``, by what it decides on.

A number is set by hand if nothing else is said of it, and a change is held against
``benchmarks/views.py``. How motion is smoothed stands with its filters (``steady.py``). A miss, a
strain or a doubt without a unit is in expected errors: 1 is as much as the look itself expects.
Spreads of sizes and lengths are standard deviations of their logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class People:
    """How people's hands differ.

    Attributes:
        size: spread of their sizes. Networks do not see the size of a hand: unless its length is
            given, no distance is more certain than this.
        least_size, most_size: of a child's hand and of a very large one, over the mean adult's.
    """

    size: float = 0.08
    least_size: float = 0.5
    most_size: float = 1.45


@dataclass(frozen=True)
class Matching:
    """Which looks of different cameras are of one hand.

    Attributes:
        most_cost: above this cost two looks are not of one hand; two looks at one hand cost 1 to 3.
        size_spread: a hand so much larger or smaller than expected costs 1, logarithm; people
            differ, and rays are noisy.
        side_cost: cost of looks that are certain of different sides.
        together: by how much less looks cost that were of one hand in the last instant.
    """

    most_cost: float = 6.0
    size_spread: float = 0.18
    side_cost: float = 8.0
    together: float = 2.0


@dataclass(frozen=True)
class Looking:
    """How certain looks are, and when a camera looks a second time.

    Attributes:
        least_share: least error of a keypoint, as a share of the hand's extent: networks put joints
            a little beside the true ones, the same way in every frame, of which no score knows.
        reach, guesses: a hand that one camera sees alone is looked for by the others at so many
            distances, spread by up to this factor, logarithm, about the distance that it says.
        near: a second look shows the expected hand if its joints are, on average, within this share
            of the hand's extent from where they should be,
        least_right: and if its side is the expected one with at least this probability.
        least_score, least_of_missed: least score of a second look at a hand that the camera has
            seen by itself, and at one that it has missed.
        vain_s: for so long, s, a camera does not look again for a hand where it found none.
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
        gate: a ray is an outlier if it misses the point where the others meet by more than this.
            Errors of hidden joints have long tails: 3 would cut into good ones.
        most_doubtless: median miss of a hand's joints up to which its camera's errors are taken to
            be as expected.
        most_doubt: the expected errors of a camera that is wrong about a hand are raised by this
            factor at most.
        nothing: information added to every point, 1/mm², so that one without a ray stays finite.
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
        steps: most steps of Gauss-Newton.
        still_mm: it has converged when no joint moves by more, mm.
        bone_mm, new_bone: standard deviation of the length of a known bone, mm, and of a bone of a
            new hand, as a share.
        distance_doubt: error of the distance that one camera gives the whole hand, once its size is
            known, as a share of the distance,
        tilt_doubt: and of the hand's tilt about both axes of the picture, tangent of the angle.
        shape_doubt: factor on the remaining errors of single joints, which are smaller than their
            sigmas, but correlated within a finger.
        common: part of the error that all keypoints of a look share, as a share of each error.
        freedom: degrees of freedom of Student's t, the distribution of keypoints' errors.
        inertia: information, 1/mm², that holds each joint where it was: it counts where nothing
            else does.
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
    """How the bone lengths of the people before a rig are measured.

    Attributes:
        finger, bone: spread of a finger's length beside the rest of the hand, and of a bone's
            beside the rest of its finger.
        beside_mm: constant offset of keypoints from joints along a finger, mm; it is the same in
            every look.
        most_unsure: a look does not count for a bone whose length it gives with a larger error, as
            noise makes bones longer on average.
        most_strain: cap on the strain by which the weight of a look is lowered.
        alike_s: errors of looks within so many seconds are correlated: together they count as one.
        most_alike: but no more than so many looks count as one.
        sure: error of the lengths at which they may be locked.
        telling: number of looks from which on the hands' size counts as known.
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
        near_mm, far_mm_s: a hand is the one that was lost if it appears within so many mm of where
            that was, and so many more for each second.
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
