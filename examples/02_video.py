"""Follow hands through a video: who is there, from when to when, and what they did.

python examples/02_video.py
python examples/02_video.py --source my.mp4
"""

from dataclasses import dataclass, field

import numpy as np
import tyro

import knuckle
from knuckle import Joint, TrackedHand


@dataclass
class Visit:
    """One hand from coming to going."""

    side: str
    start_s: float
    end_s: float = 0.0
    fastest_mm_s: float = 0.0
    pinches: int = 0
    pinched: bool = field(default=False, repr=False)

    def see(self, hand: TrackedHand, time_s: float) -> None:
        """Take in one frame."""
        self.end_s = time_s
        self.side = hand.side  # may settle after the first frames
        self.fastest_mm_s = max(self.fastest_mm_s, float(np.linalg.norm(hand.velocity_mm_s)))
        gap = np.linalg.norm(hand.joints_mm[Joint.THUMB_TIP] - hand.joints_mm[Joint.INDEX_TIP])
        # Two thresholds, so that one pinch is not counted as many.
        if gap < 20 and not self.pinched:
            self.pinches, self.pinched = self.pinches + 1, True
        elif gap > 35:
            self.pinched = False


def main(source: str = "src/knuckle/demo/hands.mp4") -> None:
    """Print a line for every hand that appears."""
    tracker = knuckle.HandTracker(max_hands=2)
    visits: dict[int, Visit] = {}
    with knuckle.open_source(source) as frames:
        for frame in frames:
            for hand in tracker(frame):
                visit = visits.setdefault(hand.track_id, Visit(hand.side, frame.time_s))
                visit.see(hand, frame.time_s)
    for track_id, visit in visits.items():
        print(
            f"hand {track_id} ({visit.side}): {visit.start_s:.2f} to {visit.end_s:.2f} s, "
            f"up to {visit.fastest_mm_s / 1000:.1f} m/s, {visit.pinches} pinches"
        )


if __name__ == "__main__":
    tyro.cli(main)
