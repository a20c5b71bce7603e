"""The loop of countless tutorials: read, find, draw, show."""

import sys

import cv2
import mediapipe as mp

mp_drawing = mp.solutions.drawing_utils
mp_styles = mp.solutions.drawing_styles
mp_hands = mp.solutions.hands

cap = cv2.VideoCapture(sys.argv[1])
shown = 0
with mp_hands.Hands(model_complexity=0, min_detection_confidence=0.5) as hands:
    while cap.isOpened():
        success, image = cap.read()
        if not success or shown == 12:
            break
        image.flags.writeable = False
        results = hands.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        image.flags.writeable = True
        if results.multi_hand_landmarks:
            for hand_landmarks in results.multi_hand_landmarks:
                mp_drawing.draw_landmarks(
                    image,
                    hand_landmarks,
                    mp_hands.HAND_CONNECTIONS,
                    mp_styles.get_default_hand_landmarks_style(),
                    mp_styles.get_default_hand_connections_style(),
                )
            tip = results.multi_hand_landmarks[0].landmark[mp_hands.HandLandmark.INDEX_FINGER_TIP]
            print(round(tip.x * image.shape[1]), round(tip.y * image.shape[0]))
        shown += 1
cap.release()
cv2.imwrite(sys.argv[2], cv2.flip(image, 1))
