"""What a network of both hands says about a data set, as a file of predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from knuckle.data.labelled import LabelledSet, OnProgress
from knuckle.errors import InputError
from knuckle.evaluate.predictions import PredictedHand, Predictions, System, write_predictions
from knuckle.hand import SIDES
from knuckle.models.both import BothOutput
from knuckle.stages import Network, read_card
from knuckle.train.answers import (
    Answers,
    Batch,
    Decoding,
    RootDepth,
    both_answers,
    decoded_answers,
)
from knuckle.train.both_hands import BothHandsModule
from knuckle.train.captures import Still
from knuckle.train.kind import module_of
from knuckle.train.recipe import Recipe
from knuckle.train.streams import plain_errors
from knuckle.train.weights import load_weights

_BATCH = 16


def predict_both(
    given: Path,
    dataset: LabelledSet,
    path: Path,
    decoding: Decoding = "soft",
    root_depth: RootDepth = "true",
    *,
    on_progress: OnProgress = lambda done, of: None,
) -> Predictions:
    """Ask a network of both hands about every picture whose hands are labelled.

    Boxes and cameras are the true ones, as in the paper.

    ``given`` is the folder of a run, whose best weights are asked, or an exported file, which knows
    the decoding "soft" alone. With the root depth "true" the right wrist's (a lone left one's) is
    told, with "own" it is placed. The file of predictions is written anew.

    Raises:
        ValueError: an exported InterNet is asked for the highest cell.
    """
    network: BothHandsModule | Exported
    if given.is_dir():
        recipe = Recipe.load_json(given / "recipe.json")
        if recipe.license:
            print(f"{given}: these weights are under {recipe.license}")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = loaded_run(given, recipe).to(device)
        kind, size, workers = recipe.kind, network.recipe.crop_size, recipe.workers
    else:
        network, device = Exported(given), "cpu"
        kind, size, workers = network.kind, network.input_size, 0  # reading takes less than it
    still = Still(dataset, size)
    loader = DataLoader(still, batch_size=_BATCH, num_workers=workers)
    hands: dict[str, list[PredictedHand]] = {}
    with torch.inference_mode(), plain_errors():
        for batch in loader:
            answers = network.answers(
                {key: value.to(device) for key, value in batch.items()}, decoding, root_depth
            )
            for said in _hands_of(answers):
                hands[dataset.record(still.rows[len(hands)]).key] = said
            on_progress(len(hands), len(still))
    how = f", {decoding}" if kind == "internet" else ""
    system = System(f"{given.name} ({kind}{how}, root depth {root_depth})", "true", "given")
    predictions = Predictions(system, hands)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_predictions(path, predictions)
    return predictions


def loaded_run(run: Path, recipe: Recipe) -> BothHandsModule:
    """The module of a run with its best weights, ready to answer.

    Raises:
        FileNotFoundError: the run has not validated yet.
    """
    module = module_of(recipe)
    if not isinstance(module, BothHandsModule):
        raise InputError(f"{run} is a run of {recipe.kind}, whose network sees one hand")
    module.load_state_dict(load_weights(run / "weights.pt"))
    return module.eval()


class Exported:
    """A file that ``knuckle export`` wrote, run by ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        """Open it; ``ValueError`` if it is no exported network of both hands."""
        self.kind = read_card(path).kind  # ``internet`` or ``both``
        self._network = Network(path, self.kind)
        self.input_size = self._network.card.input_size  # side of its crops, px

    def answers(self, batch: Batch, decoding: Decoding, root_depth: RootDepth) -> Answers:
        """What it says about a batch, in the camera frame."""
        if self.kind == "both":
            return self._both_answers(batch, root_depth)
        if decoding != "soft":
            raise InputError(
                "an exported InterNet gives the means of its volumes, not their highest cells; "
                f"--decoding {decoding} needs the training run"
            )
        said = self._said(crop=batch["crop"].numpy())
        return decoded_answers(
            said["keypoints_px"], said["depth_mm"], said["root_mm"], said["there"].logit(),
            batch, root_depth,
        )  # fmt: skip

    def _both_answers(self, batch: Batch, root_depth: RootDepth) -> Answers:
        view = batch["view_from_crop"]
        said = self._said(crop=batch["crop"].numpy(), view_from_crop=view.numpy())
        points = said["keypoints_px"]
        ahead = points @ view[:, None, :, :2].transpose(-1, -2) + view[:, None, None, :, 2]
        out = BothOutput(
            keypoints_px=points,
            log_sigma_px=said["sigma_px"].log(),
            there_logit=said["there"].logit(),
            joints_mm=said["joints_mm"],
            log_sigma_mm=said["sigma_mm"].log(),
            root_mm=said["root_mm"],
            log_maps=torch.empty(0),  # only training looks at them
            rays=ahead[..., :2] / ahead[..., 2:],
        )
        return both_answers(out, batch, root_depth)

    def _said(self, **inputs: np.ndarray) -> dict[str, Tensor]:
        return {name: torch.from_numpy(value) for name, value in self._network(**inputs).items()}


def _hands_of(answers: Answers) -> list[list[PredictedHand]]:
    """Both hands of every picture, as in the paper; their scores say which are there."""
    px, mm, there, relative = (
        None if each is None else each.cpu().double().numpy() for each in answers
    )
    assert px is not None and mm is not None and there is not None
    return [
        [
            PredictedHand(
                side=side,
                score=float(there[row, s]),
                joints_px=px[row, s],
                joints_mm=mm[row, s],
                joints_root_mm=None if relative is None else relative[row, s],
            )
            for s, side in enumerate(SIDES)
        ]
        for row in range(len(px))
    ]
