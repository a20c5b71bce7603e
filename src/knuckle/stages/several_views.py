"""Networks that see a hand in several calibrated views: for evaluation, not for the pipeline."""

from __future__ import annotations

from knuckle.hand import N_JOINTS
from knuckle.stages.contract import ANY, Length, Stage, TensorSpec, numbers, tensors

#: Any number of views, each of which looks at any number of others; the least is said.
_VIEWS, _SOURCES = 2, 1
_OF_VIEWS = {1: "views"}
_OF_SOURCES = {1: "views", 2: "sources"}


def _of_view(*shape: Length) -> TensorSpec:
    """Numbers of this shape for each view."""
    return numbers(_VIEWS, *shape, free=_OF_VIEWS)


def _of_source(*shape: Length) -> TensorSpec:
    """Numbers of this shape for each view and each of those that it looks at."""
    return numbers(_VIEWS, _SOURCES, *shape, free=_OF_SOURCES)


class SeveralViews(Stage):
    """The Epipolar Transformer: keypoints of one hand in each of its views."""

    #: ``source`` numbers the views that each looks at, of which those with ``there`` 1 count. A
    #: point of a view's cell (u, v) at depth d (mm) is seen on the source's cell
    #: ``d * turn @ (u, v, 1) + shift``, homogeneous; ``depth`` is the hand's, mm.
    INPUTS = tensors(
        crop=TensorSpec("uint8", (ANY, _VIEWS, "input_size", "input_size", 3), _OF_VIEWS),
        source=TensorSpec("int64", (ANY, _VIEWS, _SOURCES), _OF_SOURCES),
        turn=_of_source(3, 3),
        shift=_of_source(3),
        depth=_of_view(),
        there=_of_source(),
    )
    OUTPUTS = tensors(
        keypoints_px=numbers(ANY, N_JOINTS, 2, free=_OF_VIEWS),
        sigma_px=numbers(ANY, N_JOINTS, free=_OF_VIEWS),
    )
