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
    """How people's hands differ."""

    #: Spread of their sizes. Networks do not see the size of a hand: unless its length is given, no
    #: distance is more certain than this.
    size: float = 0.08
    least_size: float = 0.5  # of a child's hand, over the mean adult's
    most_size: float = 1.45  # of a very large one


@dataclass(frozen=True)
class Matching:
    """Which looks of different cameras are of one hand."""

    #: Above this cost two looks are not of one hand; two looks at one hand cost 1 to 3.
    most_cost: float = 6.0
    #: A hand so much larger or smaller than expected costs 1, logarithm; people differ, and rays
    #: are noisy.
    size_spread: float = 0.18
    side_cost: float = 8.0  # cost of looks that are certain of different sides
    together: float = 2.0  # by how much less looks cost that were of one hand in the last instant


@dataclass(frozen=True)
class Looking:
    """How certain looks are, and when a camera looks a second time."""

    #: Least error of a keypoint, as a share of the hand's extent: networks put joints a little
    #: beside the true ones, the same way in every frame, of which no score knows.
    least_share: float = 0.01
    #: The same where hands tell how cameras stand, their clocks or their unit: what keypoints lie
    #: beside joints would move these.
    calibrating_share: float = 0.02
    #: ``reach``, ``guesses``: a hand that one camera sees alone is looked for by the others at so
    #: many distances, spread by up to this factor, logarithm, about the distance that it says.
    reach: float = 0.24
    guesses: int = 5
    #: A second look shows the expected hand if its joints are, on average, within this share of the
    #: hand's extent from where they should be,
    near: float = 0.3
    least_right: float = 0.2  # and if its side is the expected one with at least this probability
    #: ``least_score``, ``least_of_missed``: least score of a second look at a hand that the camera
    #: has seen by itself, and at one that it has missed.
    least_score: float = 0.3
    least_of_missed: float = 0.5
    #: For so long, s, a camera does not look again for a hand where it found none.
    vain_s: float = 0.15


@dataclass(frozen=True)
class Meeting:
    """Which rays are believed."""

    rounds: int = 3  # of weighting by depth; Hartley and Sturm see convergence in fewer
    #: A ray is an outlier if it misses the point where the others meet by more than this. Errors of
    #: hidden joints have long tails: 3 would cut into good ones.
    gate: float = 4.0
    #: Median miss of a hand's joints up to which its camera's errors are taken to be as expected.
    most_doubtless: float = 1.5
    #: The expected errors of a camera that is wrong about a hand are raised by this factor at most.
    most_doubt: float = 10.0
    #: Information added to every point, 1/mm², so that one without a ray stays finite.
    nothing: float = 1e-9


@dataclass(frozen=True)
class Fitting:
    """How a hand of known bones is laid through rays."""

    steps: int = 4  # most steps of Gauss-Newton
    still_mm: float = 0.1  # it has converged when no joint moves by more, mm
    bone_mm: float = 0.7  # standard deviation of the length of a known bone, mm
    new_bone: float = 0.10  # and of a bone of a new hand, as a share
    #: Error of the distance that one camera gives the whole hand, once its size is known, as a
    #: share of the distance,
    distance_doubt: float = 0.06
    #: and of the hand's tilt about both axes of the picture, tangent of the angle.
    tilt_doubt: float = 0.2
    #: Factor on the remaining errors of single joints, which are smaller than their sigmas, but
    #: correlated within a finger.
    shape_doubt: float = 1.3
    #: Part of the error that all keypoints of a look share, as a share of each error.
    common: float = 0.8
    freedom: float = 4.0  # degrees of freedom of Student's t, the distribution of keypoints' errors
    #: Information, 1/mm², that holds each joint where it was: it counts where nothing else does.
    inertia: float = 1e-5


@dataclass(frozen=True)
class Holding:
    """What is known of a hand that one camera alone goes on seeing."""

    #: By how much a hand's depth changes within a second, mm; within other times as of a random
    #: walk.
    drift_mm: float = 60.0
    alike_s: float = 1.5  # time within which a camera's errors of depth cease to be alike, s
    #: Error of the distance that one camera gives the whole hand, as a share of it; larger than
    #: that of ``Fitting``, as no second camera contradicts mistakes.
    distance_doubt: float = 0.1
    least: float = 0.3  # share of a camera's errors of depth that is new in every frame


@dataclass(frozen=True)
class Measuring:
    """How the bone lengths of the people before a rig are measured."""

    finger: float = 0.03  # spread of a finger's length beside the rest of the hand
    bone: float = 0.03  # and of a bone's beside the rest of its finger
    #: Constant offset of keypoints from joints along a finger, mm; it is the same in every look.
    beside_mm: float = 4.0
    #: A look does not count for a bone whose length it gives with a larger error, as noise makes
    #: bones longer on average.
    most_unsure: float = 0.25
    most_strain: float = 20.0  # cap on the strain by which the weight of a look is lowered
    #: Errors of looks within so many seconds are correlated: together they count as one.
    alike_s: float = 0.25
    most_alike: float = 10.0  # but no more than so many looks count as one
    sure: float = 0.025  # error of the lengths at which they may be locked
    telling: int = 5  # number of looks from which on the hands' size counts as known


@dataclass(frozen=True)
class Returning:
    """Who comes back."""

    #: ``near_mm``, ``far_mm_s``: a hand is the one that was lost if it appears within so many mm of
    #: where that was, and so many more for each second.
    near_mm: float = 80.0
    far_mm_s: float = 1000.0


@dataclass(frozen=True)
class Variety:
    """Which looks at hands differ, so that they err differently."""

    #: Root mean square by which the joints of two hands differ, as a share of the hand's extent;
    #: more than keypoints tremble.
    least_share: float = 0.06
    #: Looks that do not differ count as fewer: below this number of different ones, variances grow
    #: by as much as there are too few. Set by slow synthetic hands whose keypoints err alike for
    #: fractions of a second; recordings that are moved as asked have twice as many or more.
    enough: int = 10


@dataclass(frozen=True)
class ByHands:
    """How cameras are calibrated from hands."""

    most_hands: int = 80  # hands that are used at most, spread over the recording
    least_hands: int = 12  # and that are needed at least
    least_shared: int = 8  # number of hands that two cameras must have seen together to be linked
    rounds: int = 2  # of matching hands between cameras anew by where their rays meet
    clock_rounds: int = 2  # of estimating the cameras' clocks and placing the cameras anew
    least_inliers: float = 0.6  # share of the hands of either side that must fit the poses
    scoring: int = 20  # number of hands on which initial poses are compared
    huber: float = 1.5  # threshold of the Huber loss on a ray's miss
    #: A hand whose joints' median miss is larger is dropped: the cameras saw two different hands,
    #: or one at different instants.
    most_strain: float = 4.0
    bone_mm: float = 1.0  # standard deviation of a bone's length during a recording, mm
    proportions: float = 0.05  # spread of people's proportions
    steps: int = 25  # most iterations of Levenberg-Marquardt
    #: Standard deviation of the constant offset of keypoints from joints seen from one direction,
    #: as a share of the hand's extent. It does not average out.
    bias: float = 0.015
    #: A camera whose keypoints would need a larger offset sees other hands, for instance the other
    #: hand of the same person.
    most_bias: float = 0.032
    #: Factor on the estimated variances of the poses, as errors of one motion are correlated. Set
    #: by the boards of real rigs.
    variance_factor: float = 14.0
    known_length: float = 0.005  # spread of a hand's length that was given, before the adjustment
    known_scale: float = 0.02  # and of all distances after it


@dataclass(frozen=True)
class ByBoards:
    """How cameras are calibrated from a board."""

    least_corners: int = 6  # number of corners that a pose of the board needs
    #: Number of times that two cameras must have seen the board together to be linked.
    least_shared: int = 3
    #: Number of looks at the board that are used at most, spread over the recording.
    most_looks: int = 120
    huber_px: float = 1.0  # threshold of the Huber loss on a corner's reprojection error, px
    wrong_px: float = 4.0  # a look whose median reprojection error is larger is dropped, px
    steps: int = 30  # most iterations of Levenberg-Marquardt
    #: Factor on the estimated variances of the poses, as errors of the corners of one look are
    #: correlated: lens and board are not exactly as described.
    variance_factor: float = 10.0


@dataclass(frozen=True)
class Syncing:
    """How the offset between two recordings' clocks is found: by correlating joint angles."""

    grid_s: float = 1 / 120  # sampling interval at which they are compared, s
    most_s: float = 10.0  # largest offset that is tried, s
    most_share: float = 0.6  # and as a share of the shorter video
    least_s: float = 1.5  # least overlap that is compared, s
    least_likeness: float = 0.55  # least correlation at the best offset
    #: ``peak_s``, ``doubtful``: the best offset is ambiguous if another, more than ``peak_s`` away,
    #: has more than this share of its correlation.
    peak_s: float = 0.4
    doubtful: float = 0.92
    contradiction_s: float = 0.1  # largest residual between the offsets of all pairs, s
    #: Width of the moving average that is subtracted first, s: slow changes say little about time.
    slow_s: float = 1.0
    #: ``part_s``, ``near_s``: the error is told from what becomes of an offset without parts of the
    #: recording that are so long; it is looked for within ``near_s``.
    part_s: float = 1.0
    near_s: float = 0.2
    least_parts: int = 3  # number of parts that tell an error
    #: Noise that is interpolated between frames draws an offset to whole or half frames, of which
    #: no part tells: the error is taken to be at least that of whole frames of the slowest camera,
    #: as a share of these.
    drawn: float = 12**-0.5


@dataclass(frozen=True)
class Timing:
    """How looks are interpolated to an instant between the frames of a camera."""

    same_s: float = 5e-4  # times that differ by less are one instant, s
    most_gap_s: float = 0.3  # looks farther apart are not interpolated, s
    #: Frequency of the to-and-fro motion by which the interpolation's error is estimated.
    sway_hz: float = 2.0
    speed_mm_s: float = 300.0  # assumed speed of a hand of which there is one look only
    memory_s: float = 1.0  # how long looks are kept, s
    most_late_s: float = 0.5  # largest lateness of a camera that is corrected while tracking, s


@dataclass(frozen=True)
class Lateness:
    """How the offset between cameras' clocks is found from their rays.

    First to about a frame, by how well rays of two cameras meet at each offset; then to a fraction
    of one, by the smooth trajectories that explain all rays of a short window.
    """

    #: Number of frames that are compared at each offset, spread over the recording.
    most_frames: int = 200
    most_missed: float = 4.0  # cap on a joint's distance from its epipolar line
    #: ``least_likeness``, ``doubtful``: as of ``Syncing``; the likeness is 0 where rays meet as at
    #: most offsets, 1 where they meet exactly.
    least_likeness: float = 0.3
    doubtful: float = 0.85
    frames: int = 8  # length of a window, in frames of the slowest camera
    least_window_s: float = 0.5  # and its least length, s
    degree: int = 6  # of a trajectory's polynomials
    least_frames: int = 4  # number of frames of a hand that a camera needs in a window to take part
    #: Strength of the smoothness prior relative to the rays in the first round, when the size of
    #: the hand is not known.
    first_stiffness: float = 1000.0
    #: Spectral density of a joint's jerk, in hand sizes² per s³: hands move to and fro by about
    #: their own size once or twice a second.
    jerk: float = 70.0
    shake: float = 0.2  # noise of a keypoint from frame to frame, as a share of its expected error
    bias: float = 10.0  # its error that stays the same within a window, in units of that noise
    freedom: float = 4.0  # degrees of freedom of Student's t, the distribution of keypoints' errors
    rounds: int = 4  # of reweighting by depth and miss
    #: A window that misses by this many times the median is dropped: it shows two hands.
    most_strain: float = 4.0
    least_motion: float = 0.3  # least share of the apparent motion that is not noise
    #: By so many frames noise that is as large as the motion draws a clock. Set by slow synthetic
    #: hands whose keypoints' errors change within fractions of a second.
    drawn: float = 0.5
    steps: int = 12  # most iterations of the clocks' offsets
    most_step_s: float = 0.05  # their longest step, s
    converged_s: float = 5e-4  # the step below which they have converged, s
    #: Lower bound of an offset's error, s, however long the recording, as fast motion is less
    #: smooth than assumed. Set by real videos with frames left out.
    least_doubt_s: float = 0.005
    most_doubt_s: float = 0.04  # an offset with a larger error is not reported, s


@dataclass(frozen=True)
class Scaling:
    """How the unit of a rig whose scale is unknown is found from hands."""

    least_hands: int = 10  # number of hands that are needed
    #: Least spread of what different looks say, logarithm: those that are alike agree whatever they
    #: are off by. Set by the half seconds of real recordings.
    least_spread: float = 0.05
    compared: int = 100  # number of hands that are compared with each other, to see which differ
    #: A hand is left out if the rays of two cameras miss each other by more.
    most_strain: float = 2.5
    #: Assumed distance between cameras before the scale is known, mm.
    usual_distance_mm: float = 700.0


#: Those that Knuckle decides by.
PEOPLE, MATCHING, LOOKING, MEETING = People(), Matching(), Looking(), Meeting()
FITTING, HOLDING, MEASURING, RETURNING = Fitting(), Holding(), Measuring(), Returning()
BY_HANDS, BY_BOARDS, SYNCING = ByHands(), ByBoards(), Syncing()
TIMING, LATENESS, SCALING = Timing(), Lateness(), Scaling()
VARIETY = Variety()
