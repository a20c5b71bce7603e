"""Gesture recognition as it is taught: 63 numbers from the wrist, scaled, to a classifier."""

import sys

import cv2
import mediapipe as mp
import numpy as np

BaseOptions = mp.tasks.BaseOptions
HandLandmarker = mp.tasks.vision.HandLandmarker
HandLandmarkerOptions = mp.tasks.vision.HandLandmarkerOptions
VisionRunningMode = mp.tasks.vision.RunningMode


class NearestGesture:
    def __init__(self):
        self.known = []

    def fit(self, features, name):
        self.known.append((features, name))

    def predict(self, features):
        return min(self.known, key=lambda each: np.abs(each[0] - features).sum())[1]


def features_of(landmarks):
    points = np.array([[lm.x, lm.y, lm.z] for lm in landmarks])
    points = points - points[0]
    return (points / np.abs(points).max()).flatten()


options = HandLandmarkerOptions(
    base_options=BaseOptions(model_asset_path="hand_landmarker.task"),
    running_mode=VisionRunningMode.VIDEO,
    num_hands=1,
)
gestures = NearestGesture()
cap = cv2.VideoCapture(sys.argv[1])
with HandLandmarker.create_from_options(options) as landmarker:
    for index in range(12):
        ok, frame = cap.read()
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        mp_image = mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)
        result = landmarker.detect_for_video(mp_image, int(index * 33.3))
        for hand_landmarks, handedness in zip(
            result.hand_landmarks, result.handedness, strict=True
        ):
            features = features_of(hand_landmarks)
            assert features.shape == (63,)
            if not gestures.known:
                gestures.fit(features, "first")
            print(handedness[0].category_name, gestures.predict(features))
