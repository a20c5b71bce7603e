"""How networks that see both hands in one crop are trained: schedule, variation, validation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BothHandsTraining:
    """The defaults are those of InterNet's paper, but for the schedule, which follows the clock.

    Attributes:
        epochs: passes over the data; 0 trains by the clock (``optimiser.minutes``).
        drops: after so many epochs the rate falls to a tenth, once each; needs ``epochs``.
        shift: largest shift of the box, as a share of its side.
        scale: largest change of the box's side, as a share.
        turn: largest turn, degrees.
        turned: share of the crops that are turned.
        flip: share of the crops that are mirrored; left and right hands then change places.
        colour: largest change of each colour channel, as a share.
        validate_pictures: how many pictures of each source are held to judge by, spread evenly;
            0 for all.
        clean: leave out the data set's known flaws in training. Validation leaves them in, as the
            papers do.
    """

    epochs: int = 0
    drops: tuple[int, ...] = ()
    shift: float = 0.15
    scale: float = 0.25
    turn: float = 45.0
    turned: float = 0.6
    flip: float = 0.5
    colour: float = 0.2
    validate_pictures: int = 1000
    clean: bool = True

    def __post_init__(self) -> None:
        if self.drops and not self.epochs:
            raise ValueError("drops = count epochs: say how many there are, epochs = 20")
