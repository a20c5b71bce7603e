"""Fit the parametric hand to labelled joints, in 3D or in a picture: many hands at a time.

What is found is the most likely hand: labels are off by a few millimetres (or pixels), poses are
spread as ``poses.sample_poses`` spreads them, shapes as people's hands are, and angles beyond the
limits of ``poses.constrain`` are unlikely but not forbidden, since hard limits freeze fingers.
Labels that no hand can explain count by their distance and not by its square (Huber 1964), so that
one wrong label does not bend the rest.

The minimum is found by Levenberg's and Marquardt's damped Gauss-Newton steps (Marquardt, SIAM J.
Appl. Math. 11, 1963), with exact slopes (``hand_slopes``), for all hands in one go; each hand has
its own damping and stops on its own. Left hands are fitted in the mirror, so that a mirrored label
gives the mirrored hand to the last digit.

``likelihood.py`` says what is likely and ``labels.py`` where the joints should be; ``state.py``
are hands on their way, from where ``starts.py`` puts them down to where ``descent.py`` ends.
"""

from knuckle.render.fitting.fit import HandFit, fit_hands, fit_hands_2d
from knuckle.render.fitting.labels import MIN_JOINTS
from knuckle.render.fitting.likelihood import FitSettings, PosePrior, pose_prior
from knuckle.render.fitting.starts import rigid_between

__all__ = [
    "MIN_JOINTS",
    "FitSettings",
    "HandFit",
    "PosePrior",
    "fit_hands",
    "fit_hands_2d",
    "pose_prior",
    "rigid_between",
]
