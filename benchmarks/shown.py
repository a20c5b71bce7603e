"""Whether a lifter should learn hands as people show them (``knuckle.data.shown``).

    python benchmarks/shown.py --data ../shared/data [--seconds 60]

The shipped design begins anew twice, on the same terms: posed hands of the sampler alone, and half
of them fitted to photographs. Neither sees a picture. Both are measured on photographs with true
3D, given the keypoints that are seen and the true ones, as ``given_2d.py`` does.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from given_2d import HEADER, print_row, rows
from knuckle.data.real_hand_3d import RealHand3D
from knuckle.data.shown import ShownHands
from knuckle.export import export
from knuckle.models.lifter import Lifter
from knuckle.pipeline import EstimatorSettings
from knuckle.pipeline.stages import Stages
from knuckle.runtime import weights_folder
from knuckle.train.recipe import Recipe
from lifters import CONTESTANTS, Hands, train

DESIGN = "residual, then graph"


def stages_with(lifter: Lifter, folder: Path) -> Stages:
    """The shipped networks, but for the lifter."""
    recipe = Recipe(kind="lifter", name="contestant", lifter=CONTESTANTS[DESIGN].settings)
    with weights_folder(None) as shipped:
        for path in shipped.glob("*.onnx"):
            shutil.copy(path, folder)
    (folder / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe)))
    state = {f"lifter.{name}": value.half() for name, value in lifter.state_dict().items()}
    torch.save(state, folder / "weights.pt")
    export(folder, folder)
    return Stages(EstimatorSettings(weights_dir=folder, threads=1))


@dataclass(frozen=True)
class Shown:
    """Train two lifters, one of them on hands as people show them, and measure both."""

    data: Path = Path("../shared/data")
    """Folder that holds real_hand_3d."""
    shown: Path = Path("runs/data/shown.npz")
    """Fitted hands, from ``python -m knuckle.data.shown``."""
    seconds: float = 60.0
    """Of one thread, each."""

    def run(self) -> None:
        """Print the table."""
        torch.set_num_threads(1)
        samples = list(RealHand3D(self.data / "real_hand_3d"))
        print(HEADER)
        for name, shown in (("sampler", None), ("half shown", ShownHands.load(self.shown))):
            lifter, _ = train(CONTESTANTS[DESIGN], Hands(shown=shown), self.seconds)
            with tempfile.TemporaryDirectory() as folder:
                stages = stages_with(lifter, Path(folder))
                for source, true_2d in (("as seen", False), ("true", True)):
                    table = rows(stages, samples, true_2d=true_2d, see_image=False)
                    print_row(name, source, np.asarray(table))


if __name__ == "__main__":
    import tyro

    tyro.cli(Shown).run()
