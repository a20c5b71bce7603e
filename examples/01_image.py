"""One picture in, hands out: print what was found and draw it.

python examples/01_image.py
python examples/01_image.py --picture me.jpg --out me-hands.png
"""

from pathlib import Path

import cv2
import tyro

import knuckle
from knuckle import Joint


def main(
    picture: str = "src/knuckle/demo/hands.mp4", out: Path = Path("build/examples/01_image.png")
) -> None:
    """Find the hands of a picture (of a video: of its first frame)."""
    with knuckle.open_source(picture) as source:
        image = next(iter(source)).image  # (H, W, 3) uint8 RGB; any array of that form will do

    estimator = knuckle.HandEstimator(max_hands=4)
    hands = estimator(image)  # best first
    for hand in hands:
        x, y = hand.joints_px[Joint.INDEX_TIP]
        sure = hand.joint_score[Joint.INDEX_TIP]
        bent = hand.joint_angles[4, 0]  # flexion of the index finger's middle joint, degrees
        print(f"{hand.side} hand, score {hand.score:.2f}")
        print(
            f"  index fingertip at ({x:.0f}, {y:.0f}) px, trusted {sure:.2f}, PIP bent {bent:.0f}°"
        )
        print(f"  {hand.mask.sum()} pixels of the picture show it")

    out.parent.mkdir(parents=True, exist_ok=True)
    drawn = knuckle.draw_hands(image, hands)
    cv2.imwrite(str(out), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
