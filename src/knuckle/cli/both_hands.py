"""What the network of a run says about a data set, as a file of predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from knuckle.data.labelled import LabelledSet
from knuckle.errors import InputError
from knuckle.evaluate import PredictedHand, Predictions, System, write_predictions
from knuckle.hand import SIDES
from knuckle.train.answers import Answers, Decoding, RootDepth
from knuckle.train.both_hands import BothHandsModule
from knuckle.train.captures import Still
from knuckle.train.kind import module_of
from knuckle.train.recipe import Recipe
from knuckle.train.weights import load_weights

OnProgress = Callable[[int, int], None]
_BATCH = 16


def predict_run(
    run: Path,
    dataset: LabelledSet,
    path: Path,
    decoding: Decoding = "soft",
    root_depth: RootDepth = "true",
    *,
    on_progress: OnProgress = lambda done, of: None,
) -> Predictions:
    """Ask the best weights of a run about every picture whose hands are labelled.

    Boxes and cameras are the true ones, as in the paper.

    Args:
        run: folder of the run.
        dataset: the pictures.
        path: file of predictions; written anew.
        decoding: of InterNet's volumes.
        root_depth: "true": the right wrist's depth (a lone left one's) is told; "own": placed.
        on_progress: called with (done, of) pictures.
    """
    recipe = Recipe.load_json(run / "recipe.json")
    if recipe.license:
        print(f"{run}: these weights are under {recipe.license}")
    module = loaded_run(run, recipe)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = module.to(device)
    still = Still(dataset, module.recipe.crop_size)
    loader = DataLoader(still, batch_size=_BATCH, num_workers=recipe.workers)
    hands: dict[str, list[PredictedHand]] = {}
    with torch.inference_mode():
        for batch in loader:
            answers = module.answers(
                {key: value.to(device) for key, value in batch.items()}, decoding, root_depth
            )
            for said in _hands_of(answers):
                hands[dataset.record(still.rows[len(hands)]).key] = said
            on_progress(len(hands), len(still))
    how = f", {decoding}" if recipe.kind == "internet" else ""
    system = System(f"{run.name} ({recipe.kind}{how}, root depth {root_depth})", "true", "given")
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


def _hands_of(answers: Answers) -> list[list[PredictedHand]]:
    """Both hands of every picture, as in the paper; their scores say which are there."""
    px, mm, there = (each.cpu().double().numpy() for each in answers)
    return [
        [
            PredictedHand(
                side=side,
                score=float(there[row, s]),
                joints_px=px[row, s],
                joints_mm=mm[row, s],
            )
            for s, side in enumerate(SIDES)
        ]
        for row in range(len(px))
    ]
