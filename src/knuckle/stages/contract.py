"""What a stage declares about its network: the tensors that go in and come out.

It is declared once, in the class of the stage. ``Network`` refuses a file that differs from it,
``export`` writes files by it, and tests build stand-ins from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from knuckle.modelcard import ModelCard

if TYPE_CHECKING:
    from knuckle.stages.network import Network

#: An axis of any length: the batch, or the side of a map.
ANY = None
#: Length of an axis: a number, any, or the name of the field of the card that says it.
Length = int | str | None
_ONNX_TYPE = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "int64": "tensor(int64)"}


@dataclass(frozen=True)
class TensorSpec:
    """What one input or output of a network must look like."""

    dtype: str  # ``uint8``, ``float32`` or ``int64``
    shape: tuple[Length, ...]  # length of each axis, the batch first
    #: Axes beside the batch that may be free in the file too, by the name they have there: the
    #: network takes any length there.
    free: Mapping[int, str] = field(default_factory=dict)

    def of(self, card: ModelCard) -> TensorSpec:
        """The same, with the lengths that a card says."""
        said = (getattr(card, n) if isinstance(n, str) else n for n in self.shape)
        return replace(self, shape=tuple(said))

    def fits(self, dtype: str, shape: tuple[int | str | None, ...]) -> bool:
        """Whether a tensor of the file, whose free axes have names, obeys this."""
        return (
            dtype == _ONNX_TYPE[self.dtype]
            and len(shape) == len(self.shape)
            and not isinstance(shape[0], int)  # the batch axis must be free
            and all(
                want is ANY or have == want or (axis in self.free and not isinstance(have, int))
                for axis, (have, want) in enumerate(zip(shape, self.shape, strict=True))
            )
        )

    def takes(self, array: np.ndarray) -> bool:
        """Whether an array, of any number of examples, is like this."""
        return (
            array.dtype == self.dtype
            and len(array.shape) == len(self.shape)
            and all(
                want is ANY or have == want or axis in self.free
                for axis, (have, want) in enumerate(zip(array.shape, self.shape, strict=True))
            )
        )

    @property
    def axes(self) -> dict[int, str]:
        """Names of the axes that are free in a file that is written by this."""
        return {0: "n", **self.free}

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('*' if n is ANY else str(n) for n in self.shape)})"


def numbers(*shape: Length, free: Mapping[int, str] | None = None) -> TensorSpec:
    """Numbers of this shape for each of a batch."""
    return TensorSpec("float32", (ANY, *shape), free or {})


def picture(free: Mapping[int, str] | None = None) -> TensorSpec:
    """RGB pictures of the size that the card says."""
    return TensorSpec("uint8", (ANY, "input_size", "input_size", 3), free or {})


def tensors(**specs: TensorSpec) -> Mapping[str, TensorSpec]:
    """Inputs or outputs by name, in the order in which a file has them."""
    return MappingProxyType(specs)


class Stage:
    """A network and what its answers mean."""

    #: The tensors of its network, by name.
    INPUTS: ClassVar[Mapping[str, TensorSpec]]
    OUTPUTS: ClassVar[Mapping[str, TensorSpec]]
    #: Names of outputs that older files may lack; the stage then does without.
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()
    NEEDED: ClassVar[bool] = False  # whether the pipeline cannot run without it

    def __init__(self, network: Network) -> None:
        """Use a network of this stage's kind."""
        self._network = network
