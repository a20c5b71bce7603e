"""Which hands of a video are remembered."""

from dot_world import true_hand
from knuckle.camera import Camera
from knuckle.pipeline.settings import TrackerSettings
from knuckle.pipeline.tracks import Tracks
from knuckle.track.track import TrackIds

CAMERA = Camera(600, 600, 320, 240)


def test_who_is_hidden_is_remembered_as_long_as_its_hider_is_followed() -> None:
    tracks = Tracks(TrackerSettings(max_hands=3, smooth=None), TrackIds())
    poses = [true_hand(CAMERA, (x, 60, 500)) for x in (-50, 0, 50)]
    hider, hidden, gone = (tracks.begin(pose, 0.0) for pose in poses)
    for track in tracks:
        track.confirm()
    hidden.lose(hidden_by=hider)
    gone.lose()
    tracks.forget(0.9)
    assert tracks == [hider, hidden, gone]
    tracks.forget(60.0)
    assert tracks == [hider, hidden]
    hider.lose()
    tracks.forget(61.0)
    assert tracks == []
