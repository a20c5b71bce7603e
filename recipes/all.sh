#!/usr/bin/env bash
# From nothing to networks as they ship: data, every network, export. Some nine hours on two cores;
# begun again, each step goes on where it was. In a clone, after make test (which makes .venv):
#
#     recipes/all.sh ../shared/data
#
# The networks of the clone are replaced one after the other; the packed photographs stay in runs/.
set -euo pipefail
cd "$(dirname "$0")/.."
photographs=$1 out=src/knuckle/weights
data=runs/data knuckle=.venv/bin/knuckle python=.venv/bin/python peers=.venv-peers/bin/python
mkdir -p "$data"

# Photographs: the teacher's labels (recipes/labels.json.xz; to ask it again, an hour on two cores:
# .venv-peers/bin/python tools/teacher.py "$photographs" labels.json --pass quick), pictures without
# a hand, and the features to start from.
make .venv-peers/done
labels=recipes/labels.json.xz
$knuckle data pack-photographs "$labels" "$photographs" "$data"
$python -m knuckle.data.hand_free "$photographs/no_hands" "$data/hand_free.npz"
$python -m knuckle.data.shown "$data/crops.npz" "$data/shown.npz"
cp "$($peers -c 'import mediapipe, pathlib; print(pathlib.Path(mediapipe.__file__).parent)')"/modules/hand_landmark/hand_landmark_full.tflite runs/

# Renders, before photographs of places and what fools.
$python tools/collect_backgrounds.py runs/backgrounds
$python tools/collect_backgrounds.py runs/backgrounds --hand-free "$photographs/no_hands"
for set in "plain 40000 51" "crops 40000 7" "touching 10000 61" "frames 16000 5"; do
    read -r kind count seed <<<"$set"
    $knuckle data render "$kind" "$data/$kind" --count "$count" --seed "$seed" --workers 2 \
        --backgrounds runs/backgrounds
done

# The detector, what fools it, and the detector again.
$knuckle train recipes/detector.toml
$python tools/decoys.py "$data/hand_free.npz" runs/detector/weights.pt
$knuckle export runs/detector --output "$out"
$knuckle train recipes/continue_detector.toml
$knuckle export runs/continue_detector --output "$out"

# The lifter on posed hands, then the keypoint network with it, end to end.
$knuckle train recipes/lifter.toml
$python tools/mattes.py "$data/crops.npz" src/knuckle/weights/keypoints.onnx "$data/mattes.npz"
$knuckle train recipes/keypoints.toml
$knuckle export runs/keypoints --output "$out"

# A second round: what that network or only eyes find is labelled too, and where the
# teacher's joints are, it has a say.
$python tools/missed_hands.py "$labels" "$photographs" "$data/labels_found.json"
$python tools/hands_by_eye.py add "$data/labels_found.json" recipes/by_eye.json "$data/labels_more.json"
$knuckle data pack-photographs "$data/labels_more.json" "$photographs" "$data"
$python tools/second_opinion.py "$data/crops.npz" "$out"
$python tools/mattes.py "$data/crops.npz" "$out/keypoints.onnx" "$data/mattes.npz"
$python tools/decoys.py "$data/hand_free.npz" "$out/detector.onnx"
$knuckle train recipes/continue_detector.toml --runs runs/second
$knuckle export runs/second/continue_detector --output "$out" --average-with "$out" --share 0.3
$knuckle train recipes/continue.toml
$knuckle export runs/continue --output "$out" --average-with "$out" --share 0.5

# Two hands together follow the finished lifter.
$knuckle train recipes/pair.toml
$knuckle export runs/pair --output "$out"

# Integers where they change little: faster, and the weights stay in the files.
$knuckle quantise "$out" --pictures "$photographs/photos_more" --output "$out"
