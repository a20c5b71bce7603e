"""Choices of the keypoint network and of its data, compared on equal training time.

    python benchmarks/choices.py network --minutes 2.4
    python benchmarks/choices.py optimisers --minutes 2.4
    python benchmarks/choices.py ingredients --minutes 0.6

The first table trains small variants of the keypoint network (head, input size, backbone, start,
crop, data), the second the same network with other optimisers and rates, the third leaves the
renderer's ingredients out one by one and trains on renders alone. Every variant begins from the
same start, gets the same minutes of one thread (processor time, so that a busy machine is no harm;
cutting crops is not counted) and is measured on the same held-back pictures. ``--workers``
processes work at a time; a variant that is done is kept, so a run that was stopped goes on.
``--prepare`` makes the sets of crops and nothing else, ``--print`` prints what is there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

import ingredients
from choices_runs import Variant, run
from choices_sets import CropSet, once
from ingredients import EVERYTHING, INGREDIENTS
from knuckle.data import shards
from knuckle.data.photographs import Packing, PhotographStore
from knuckle.render.backgrounds import Backgrounds
from knuckle.render.scene import CROPS
from knuckle.sample import Sample
from knuckle.train.mattes import Mattes, recomposed
from knuckle.train.streams import shard_paths

#: Photographs are no larger than this.
_PHOTOGRAPH_PX = Packing().crop_px
_ALL = 10**9
_RENDERS, _TESTS = 4096, 400
_INGREDIENT_RENDERS, _INGREDIENT_TESTS, _INGREDIENT_SIZE = 2048, 256, 96
_SHARDS = 10
_ROUNDS = 2000

PHOTOGRAPHS = {
    "test, photographs": "photographs",
    "test, recomposed": "before other backgrounds",
}
RENDERS = {"test, plain": "renders, plain", "test, crowded": "renders, crowded"}
#: As in ``recipes/continue.toml``, without the pictures that show no hand.
BOTH = {"crowded": 0.28, "plain": 0.32, "photographs": 0.20, "recomposed": 0.20}

SHIPPED = Variant(
    sources=BOTH,
    tests=PHOTOGRAPHS | RENDERS,
    faults={"crowded": 0.5, "plain": 0.5, "photographs": 1.4, "recomposed": 1.4},
    cutout=0.15,
)
#: What all others differ from in one thing, but the last two: the network as it was shipped when
#: they were measured, with a level of stride 32 and no further blocks at stride 16.
SEVEN_STAGES = replace(SHIPPED, stages=7, coarse_blocks=0)
NETWORKS = {
    "seven stages": SEVEN_STAGES,
    "head: SimCC": replace(SEVEN_STAGES, head="SimCC"),
    "head: regression": replace(SEVEN_STAGES, head="regression"),
    "input: 96 px": replace(SEVEN_STAGES, size=96),
    "input: 160 px": replace(SEVEN_STAGES, size=160),
    "data: renders only": replace(SEVEN_STAGES, sources={"crowded": 0.47, "plain": 0.53}),
    "data: photographs only": replace(
        SEVEN_STAGES, sources={"photographs": 0.5, "recomposed": 0.5}
    ),
    "data: photographs as they are": replace(
        SEVEN_STAGES, sources={"crowded": 0.28, "plain": 0.32, "photographs": 0.40}
    ),
    "crop: any angle, either side": replace(SEVEN_STAGES, upright=False),
    "backbone: from scratch": replace(SEVEN_STAGES, imagenet=False),
    "seven stages, another seed": replace(SEVEN_STAGES, seed=1),
    "backbone: first five stages": replace(SEVEN_STAGES, stages=5),
    "five stages, two blocks more: shipped": SHIPPED,
}


def _learning(optimiser: str, rate: float) -> Variant:
    return replace(SHIPPED, optimiser=optimiser, rate=rate, batch=32)


OPTIMISERS = {
    "AdamW, rate 1e-3": _learning("adamw", 1e-3),
    "AdamW, rate 2e-3": _learning("adamw", 2e-3),
    "Muon, rate 1e-3": _learning("muon", 1e-3),
    "Muon, rate 2e-3": _learning("muon", 2e-3),
    "Muon, rate 4e-3": _learning("muon", 4e-3),
}

_FULL_TEST = f"test, {EVERYTHING}"
_RENDERED = Variant(
    size=_INGREDIENT_SIZE,
    stages=SEVEN_STAGES.stages,
    coarse_blocks=SEVEN_STAGES.coarse_blocks,
    tests=PHOTOGRAPHS | {_FULL_TEST: "renders"},
)
_EACH_TEST = {f"test, {name}": name for name in INGREDIENTS}
_WITH_EVERYTHING = replace(
    _RENDERED, sources={f"with {EVERYTHING}": 1.0}, tests=_RENDERED.tests | _EACH_TEST
)


def _without() -> dict[str, Variant]:
    """Everything, everything again, and each ingredient left out."""
    variants = {EVERYTHING: _WITH_EVERYTHING}
    for name in INGREDIENTS:
        tests = {**_RENDERED.tests, f"test, {name}": name}
        variants[name] = replace(_RENDERED, sources={f"without {name}": 1.0}, tests=tests)
    variants[f"{EVERYTHING}, another seed"] = replace(_WITH_EVERYTHING, seed=1)
    return variants


TABLES: dict[str, dict[str, Variant]] = {
    "network": NETWORKS,
    "optimisers": OPTIMISERS,
    "ingredients": _without(),
}


# --- the sets ------------------------------------------------------------------------------------


def prepare(table: str, data: Path, backgrounds: Path, folder: Path, workers: int) -> None:
    """Make the sets of crops that a table needs, those that are missing."""
    cv2.setNumThreads(0)
    _prepare_photographs(data, backgrounds, folder)
    if table == "ingredients":
        missing = [n for n in ingredients.sets() if not (folder / f"{n}.npz").exists()]
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(partial(_render, folder, backgrounds), missing))
        return
    for name, source in {"crowded": "crops", "plain": "plain"}.items():
        once(folder, name, partial(_rendered, data / source, "train", _RENDERS))
        once(folder, f"test, {name}", partial(_rendered, data / source, "validation", _TESTS))


def _render(folder: Path, backgrounds: Path, name: str) -> None:
    """One of the ingredients' sets."""
    cv2.setNumThreads(0)
    count = _INGREDIENT_TESTS if name.startswith("test") else _INGREDIENT_RENDERS
    ingredients.make(name, folder, backgrounds, count)


def _rendered(folder: Path, part: str, count: int) -> CropSet:
    """Crops of shards drawn at random."""
    rng = np.random.default_rng(0)
    paths = shard_paths(folder, part)
    drawn = [paths[i] for i in rng.permutation(len(paths))[:_SHARDS]]
    return CropSet.of(shards.read(drawn, rng, shuffle=count), count, CROPS.size_px)


def _prepare_photographs(data: Path, backgrounds: Path, folder: Path) -> None:
    """Photographs as they are, and before backgrounds that training and test do not share."""
    names = [f"{part}{kind}" for part in ("", "test, ") for kind in ("photographs", "recomposed")]
    if all((folder / f"{name}.npz").exists() for name in names):
        return
    store, mattes = PhotographStore.load(data / "crops.npz"), Mattes.load(data / "mattes.npz")
    places = Backgrounds.load(backgrounds)
    parts = {
        "": ("train", [p for i, p in enumerate(places.photographs) if i % 5]),
        "test, ": ("validation", places.photographs[::5]),
    }
    for prefix, (part, photographs) in parts.items():
        chosen, behind = store.part(part), replace(places, photographs=photographs)
        pictures = {
            "photographs": (store.decode(int(i)) for i in chosen),
            "recomposed": _recomposed(store, mattes, chosen, behind),
        }
        for kind, samples in pictures.items():
            once(folder, f"{prefix}{kind}", partial(CropSet.of, samples, _ALL, _PHOTOGRAPH_PX))


def _recomposed(
    store: PhotographStore, mattes: Mattes, chosen: np.ndarray, backgrounds: Backgrounds
) -> Iterator[Sample]:
    """Those photographs that have a matte, each before a background."""
    rng = np.random.default_rng(0)
    for i in map(int, chosen):
        alpha = mattes.alpha(i)
        if alpha is not None:
            background = backgrounds.sample(rng, *alpha.shape)
            yield recomposed(store.decode(i), alpha, background, rng)


# --- the tables ----------------------------------------------------------------------------------


def finished(folder: Path, variants: Mapping[str, Variant]) -> dict[str, dict]:
    """The results that are there, by variant."""
    paths = {name: result_path(folder, name) for name in variants}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def result_path(folder: Path, variant: str) -> Path:
    """Where a variant's result is kept."""
    return folder / (re.sub(r"\W+", "-", variant) + ".json")


def network_table(results: Mapping[str, dict]) -> str:
    """What each variant costs and how near it comes."""
    tests = SHIPPED.tests
    base = next(iter(results.values()))
    lines = [
        _row("variant", "crops seen", "step, ms", "parameters", "ONNX, ms", *tests.values(),
             "spread foretells"),
        "|---" * (6 + len(tests)) + "|",
    ]  # fmt: skip
    for name, result in results.items():
        cells = [
            f"{result['crops']:,}",
            f"{result['step_ms']:.0f}",
            f"{result['parameters'] / 1e6:.2f} M",
            f"{result['onnx_ms']:.2f}",
        ]
        cells += [_compared(result, base, test, test) for test in tests]
        foretold = result["foretold"]["test, photographs"]
        lines.append(_row(name, *cells, "–" if foretold is None else f"{foretold:.2f}"))
    return "\n".join(lines)


def ingredient_table(results: Mapping[str, dict]) -> str:
    """What becomes worse without each ingredient, at large and where it counts."""
    base = results[EVERYTHING]
    shared = _RENDERED.tests
    lines = [
        _row("left out", *shared.values(), "where there is most of it", "there, left in"),
        "|---" * (3 + len(shared)) + "|",
    ]
    for name, result in results.items():
        cells = [_compared(result, base, test, test) for test in shared]
        own = f"test, {name}"
        if name in INGREDIENTS:
            cells += [_compared(result, base, own, own), _percent(base["errors"][own])]
        else:
            cells += ["", ""]
        label = "nothing" + name.removeprefix(EVERYTHING) if name.startswith(EVERYTHING) else name
        lines.append(_row(label, *cells))
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(errors: list[float]) -> str:
    return f"{np.mean(errors):.1%}"


def _compared(result: dict, base: dict, test: str, base_test: str) -> str:
    """The mean error, and how much more than the base's with a 90 % interval's half width."""
    errors, known = np.array(result["errors"][test]), np.array(base["errors"][base_test])
    if result is base:
        return f"{errors.mean():.1%}"
    more, half = difference(errors, known)
    return f"{errors.mean():.1%} ({100 * more:+.1f} ± {100 * half:.1f})"


def difference(errors: np.ndarray, base: np.ndarray) -> tuple[float, float]:
    """Mean difference over the same pictures, and half of its 90 % interval (bootstrap)."""
    rng = np.random.default_rng(0)
    more = errors - base
    means = more[rng.integers(0, len(more), (_ROUNDS, len(more)))].mean(axis=1)
    low, high = np.percentile(means, [5, 95])
    return float(more.mean()), float(high - low) / 2


# --- the command ---------------------------------------------------------------------------------


def main() -> None:
    """Prepare, run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--minutes", type=float, default=2.4, help="of one thread, each variant")
    parser.add_argument("--variants", nargs="+", help="these, not all")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="training data")
    parser.add_argument("--backgrounds", type=Path, default=Path("runs/backgrounds"))
    parser.add_argument("--folder", type=Path, default=Path("runs/choices"), help="sets, results")
    parser.add_argument("--prepare", action="store_true", help="make the sets, train nothing")
    parser.add_argument("--print", action="store_true", help="print what is there, train nothing")
    options = parser.parse_args()
    variants = TABLES[options.table]
    unknown = sorted(set(options.variants or ()) - set(variants))
    if unknown:
        parser.error(f"unknown variant {unknown[0]!r}; known are {list(variants)}")
    if options.minutes <= 0:
        parser.error(f"--minutes must be above 0, got {options.minutes}; --print trains nothing")
    seconds = 60 * options.minutes
    results = options.folder / f"{options.table}-{options.minutes:g}"
    if not options.print:
        prepare(options.table, options.data, options.backgrounds, options.folder, options.workers)
    if options.prepare:
        return
    wanted = {name: variants[name] for name in options.variants or variants}
    if not options.print:
        _run_missing(wanted, options.folder, seconds, results, options.workers)
    done = finished(results, variants)
    if done:
        print(ingredient_table(done) if options.table == "ingredients" else network_table(done))


def _run_missing(
    wanted: Mapping[str, Variant], folder: Path, seconds: float, results: Path, workers: int
) -> None:
    """Run the variants that have no result, so many at a time."""
    missing = {n: v for n, v in wanted.items() if not result_path(results, n).exists()}
    # A process of its own for each, so that none inherits another's caches or threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        runs = {
            pool.submit(run, variant, folder, seconds, result_path(results, name)): name
            for name, variant in missing.items()
        }
        for done in as_completed(runs):
            done.result()
            print(f"done: {runs[done]}", file=sys.stderr)


if __name__ == "__main__":
    main()
