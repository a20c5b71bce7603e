"""What a retargeting library's own detector does, with the parts it imports by full name."""

import sys

import cv2
import mediapipe as mp
import mediapipe.framework as framework
import numpy as np
from mediapipe.framework.formats import landmark_pb2
from mediapipe.python.solutions import hands_connections
from mediapipe.python.solutions.drawing_utils import DrawingSpec
from mediapipe.python.solutions.hands import HandLandmark

detector = mp.solutions.hands.Hands(
    static_image_mode=False,
    max_num_hands=1,
    min_detection_confidence=0.8,
    min_tracking_confidence=0.8,
)
#: Of an unmirrored picture: the right hand is called the left one.
WANTED = "Left"


def joints_of(world: framework.formats.landmark_pb2.LandmarkList) -> np.ndarray:
    points = np.empty([21, 3])
    for i in range(21):
        points[i] = world.landmark[i].x, world.landmark[i].y, world.landmark[i].z
    return points - points[:1]


def draw(image, landmarks: landmark_pb2.NormalizedLandmarkList):
    style = {each: DrawingSpec(color=(255, 48, 48), circle_radius=4) for each in HandLandmark}
    lines = {pair: DrawingSpec(thickness=2) for pair in hands_connections.HAND_CONNECTIONS}
    mp.solutions.drawing_utils.draw_landmarks(
        image, landmarks, mp.solutions.hands.HAND_CONNECTIONS, style, lines
    )


cap = cv2.VideoCapture(sys.argv[1])
for _ in range(12):
    _, bgr = cap.read()
    results = detector.process(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    if not results.multi_hand_landmarks:
        continue
    if results.multi_handedness[0].ListFields()[0][1][0].label != WANTED:
        continue
    joints = joints_of(results.multi_hand_world_landmarks[0])
    drawn = bgr.copy()
    draw(drawn, results.multi_hand_landmarks[0])
    print(f"{np.linalg.norm(joints[9]):.3f}", (drawn != bgr).any())
