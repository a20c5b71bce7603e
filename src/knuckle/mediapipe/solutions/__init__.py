"""``mp.solutions`` as it was before MediaPipe removed it: the part about hands."""

from knuckle.mediapipe import hand_landmark as hands_connections
from knuckle.mediapipe.lacking import lacking as __getattr__
from knuckle.mediapipe.solutions import drawing_styles, drawing_utils, hands

__all__ = ["__getattr__", "drawing_styles", "drawing_utils", "hands", "hands_connections"]
