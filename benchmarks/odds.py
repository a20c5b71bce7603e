"""Refits the log odds that the pipeline adds up: what indicates a hand, and how strongly.

    python benchmarks/odds.py [--weights DIR]

Rendered scenes like those of the stress set, but different ones: hands alone in every light and
sleeve, and pairs that touch; also lone hands on photographs, from the part used for training, as a
look beside a real hand differs from one beside a rendered one. Two questions are asked, and the
answers are the odds in ``pipeline/judge.py``.

- Is a detection a hand, by its score and by the look at it?
- Does the best of the looks beside a hand show a second one, by its features? And where it does
  not: was the second hand ever seen?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from board import LABELS, SHARED, Data, Labels, Table, Weights, command
from held_back import joints_of
from knuckle import metrics
from knuckle.data.photograph_labels import LabelledPhoto, labelled_photos
from knuckle.data.photographs import is_validation
from knuckle.data.shards import read_shard, write_shard
from knuckle.pipeline import EstimatorSettings, judge, propose
from knuckle.pipeline.explain import is_again, share_apart
from knuckle.pipeline.frame import hands_of, one_each
from knuckle.pipeline.looks import Looks
from knuckle.pipeline.networks import Networks
from knuckle.pose import Keypoints
from knuckle.sample import HandLabel, Sample
from stress_scenes import AXES, render

#: The stress set ends long before this scene.
_FIRST_SCENE, _SCENES_APART = 1000, 300
#: Axis, bin and how many scenes of it.
SCENES = (
    ("two hands", "touching", 60),
    ("two hands", "clasped, folded", 60),
    ("two hands", "gripping", 60),
    ("two hands", "crossing", 60),
    ("two hands", "apart", 60),
    ("base", "base", 60),
    ("worn", "long sleeve", 60),
    ("view", "over the wrist", 40),
    ("view", "thumb's edge", 40),
    ("worn", "thick glove", 40),
)
#: Of the photographs of a lone hand every so-manieth is asked.
_EVERY_PHOTO = 12
#: A look whose joints are as near as this share of the hand's box shows it; one whose detection was
#: nearer to a hand than that, but which does not show it, counts neither way.
_SHOWS, _NEAR = 0.35, 0.4
#: No probability is believed beyond 1 in 200 while odds are fitted.
_SUREST = 0.995


@dataclass(frozen=True)
class Second:
    """What many looks said of the second hand of a scene that has one, or has none.

    Attributes:
        there: whether there is one beside the hand that was found first.
        shown: whether the best look shows it.
        ever_seen: whether any look does.
        tells: (2,) of the best look.
    """

    there: bool
    shown: bool
    ever_seen: bool
    tells: np.ndarray


# --- scenes --------------------------------------------------------------------------------------


def scenes(folder: Path) -> list[Sample]:
    """All scenes, rendered at the first call and kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(len(SCENES))
    with get_context("spawn").Pool() as pool:
        paths = pool.map(partial(_kept, folder=folder), numbers, chunksize=1)
    return [sample for path in paths for sample in read_shard(path)]


def _kept(number: int, folder: Path) -> Path:
    axis, name, count = SCENES[number]
    path = folder / f"odds-{number}.tar"
    if not path.exists():
        first = _FIRST_SCENE + number * _SCENES_APART
        samples = (render(first + i, AXES[axis][name]) for i in range(count))
        write_shard(path, samples, quality=95)
    return path


def lone_hands(data: Path, labels: Path) -> list[Sample]:
    """Photographs of a lone hand from the part that networks are trained on."""
    alone = (photo for photo in labelled_photos(labels, data) if _is_of_lone_hand(photo))
    return [
        Sample(
            image=photo.image,
            hands=(HandLabel(side=photo.hands[0]["side"], joints_px=joints_of(photo)[0]),),
            key=photo.key,
        )
        for i, photo in enumerate(alone)
        if i % _EVERY_PHOTO == 0
    ]


def _is_of_lone_hand(photo: LabelledPhoto) -> bool:
    record = photo.record
    certain = record["complete"] and not record["uncertain"] and record["frame"] is None
    return len(photo.hands) == 1 and certain and not is_validation(photo.group)


# --- what is seen in them ------------------------------------------------------------------------


def detected(networks: Networks, sample: Sample) -> list[tuple[float, float, bool]]:
    """(detector's score, what the look shows, is it a hand) of each detection that is clear."""
    detections = networks.detect(sample.image)
    named = propose.detected(networks, detections.hands)
    looks = one_each(networks, sample.image, [[proposal] for proposal in named])
    rows = []
    for i, hand in enumerate(detections.hands):
        shows = any(_shows(looks, i, truth) for truth in sample.hands)
        if shows or not any(_is_near(hand.centre_px, truth) for truth in sample.hands):
            rows.append((hand.score, float(looks.look_score[i]), shows))
    return rows


def second(networks: Networks, sample: Sample) -> Second | None:
    """The best look for a second hand beside the first; None where no first one is found."""
    detections, settings = networks.detect(sample.image), networks.settings
    first = Looks.at(networks, sample.image, propose.detected(networks, detections.hands))
    looks, hands = hands_of(networks, sample.image, first, detections, 2)
    seen = looks.seen
    rivals = _beside(looks, hands[0], judge.least_score(settings)) if hands else []
    if not rivals:
        return None
    worth = {i: float(looks.worth[i]) * share_apart(looks, i, hands[0]) for i in rivals}
    best = max(rivals, key=lambda i: worth[i])
    distances = [_distance(seen, hands[0], truth) for truth in sample.hands]
    rest = [truth for i, truth in enumerate(sample.hands) if i != int(np.argmin(distances))]
    rest = [truth for truth in rest if truth.visible is None or truth.visible.sum() >= 5]
    return Second(
        there=bool(rest),
        shown=any(_shows(seen, best, truth) for truth in rest),
        ever_seen=any(_shows(seen, i, truth) for truth in rest for i in range(len(seen))),
        tells=judge.tells_of_second(detections, seen, hands[0], seen, best, worth[best]),
    )


def _beside(looks: Looks, hand: int, least_score: float) -> list[int]:
    """Looks at what may touch a hand and is not that hand."""
    seen = looks.seen
    return [
        i
        for i in np.flatnonzero(seen.score >= least_score).tolist()
        if judge.beside(seen.points_px[i], seen.points_px[hand]) and not is_again(looks, i, hand)
    ]


def _distance(looks: Keypoints, i: int, truth: HandLabel) -> float:
    return float(metrics.keypoint_error_share(looks.points_px[i], truth.joints_px, truth.valid))


def _shows(looks: Keypoints, i: int, truth: HandLabel) -> bool:
    return _distance(looks, i, truth) < _SHOWS


def _is_near(centre_px: Sequence[float], truth: HandLabel) -> bool:
    points = truth.joints_px[truth.valid]
    low, high = points.min(axis=0), points.max(axis=0)
    gap = np.linalg.norm(np.asarray(centre_px) - (low + high) / 2)
    return bool(gap < _NEAR * (high - low).max())


# --- odds ----------------------------------------------------------------------------------------


def fit(tells: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Logistic regression by Newton's method, the slopes a little towards 0.

    Args:
        tells: (N, F).
        truth: (N,) bool.

    Returns:
        (1 + F,) log odds: of nothing, and per unit of each tell.
    """
    x, odds = np.c_[np.ones(len(tells)), tells], np.zeros(tells.shape[1] + 1)
    ridge = np.diag(np.r_[1e-6, np.full(tells.shape[1], 0.1)])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ odds))
        slope = x.T @ (truth - p) - ridge @ odds
        odds += np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + ridge, slope)
    return odds


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds of probabilities, none beyond ``_SUREST``."""
    inside = np.clip(probability, 1 - _SUREST, _SUREST)
    return np.log(inside / (1 - inside))


def report_detected(rows: Iterable[tuple[float, float, bool]]) -> None:
    """The odds of what the detector names."""
    scores, seen, truth = (np.array(column) for column in zip(*rows, strict=True))
    nothing, per_detected, per_seen = fit(np.c_[logit(scores), logit(seen)], truth)
    print(f"{len(truth)} detections, {int(truth.sum())} of them hands\n")
    print(
        f"Per log odds of a look, {per_detected / per_seen:.2f} per log odds of a detection, which "
        f"tells nothing at {-nothing / per_detected:.2f}.\n"
    )
    both = nothing + per_detected * logit(scores) + per_seen * logit(seen)
    columns = {"by": "", "hands missed": "{}", "others taken for hands": "{}"}
    ways = {"the look": logit(seen), "both": both}
    print(
        Table(columns).text(
            (name, (truth & (odds < 0)).sum(), (~truth & (odds >= 0)).sum())
            for name, odds in ways.items()
        )
    )


def report_second(answers: Sequence[Second]) -> None:
    """The odds of a second hand, and where those are lost that there are."""
    tells = np.array([answer.tells for answer in answers])
    shown = np.array([answer.shown for answer in answers])
    odds = fit(tells, shown)
    print("\nLog odds of a second hand: " + ", ".join(f"{value:.2f}" for value in odds))
    log_odds = odds[0] + tells @ odds[1:]
    counts: Counter[str] = Counter()
    for answer, believed in zip(answers, log_odds >= 0, strict=True):
        if answer.there:
            counts["second hands"] += 1
            counts["never seen"] += not answer.ever_seen
            counts["seen, not the best look"] += answer.ever_seen and not answer.shown
            counts["the best look, not believed"] += bool(answer.shown and not believed)
            counts["believed"] += bool(answer.shown and believed)
        else:
            counts["no second hand"] += 1
        counts["something else believed"] += bool(believed and not answer.shown)
    print("\n" + Table({"": "", "scenes": "{}"}).text(counts.items()))


@dataclass(frozen=True)
class Odds:
    """Fit the log odds, and say what they decide."""

    data: Data = SHARED
    labels: Labels = LABELS
    weights: Weights = None
    folder: Path = Path("runs/odds")
    """Where the scenes are kept."""

    def run(self) -> None:
        """Print both reports."""
        networks = Networks(EstimatorSettings(weights_dir=self.weights, threads=2))
        samples = scenes(self.folder)
        report_detected(row for sample in samples for row in detected(networks, sample))
        samples += lone_hands(self.data, self.labels)
        report_second([a for sample in samples if (a := second(networks, sample)) is not None])


if __name__ == "__main__":
    command(Odds)
