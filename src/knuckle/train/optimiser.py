"""Muon: steps whose directions all count alike, for the matrices of a network; AdamW for the rest.

The gradient of a layer mostly has a few strong directions, and what is rare in a batch lies in
the others. Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks")
makes all singular values of a step about 1. Steps are then scaled to the size that AdamW's have
(Liu et al. 2025, "Muon is scalable for LLM training"), so that one rate serves both. PyTorch's own
takes no convolutions and rounds to bfloat16, which is slow on a CPU.

What reads a ReLU reads numbers above 0, and one direction, all of a unit's weights up or down
together, decides over it more than any other. Made as long as the rest, steps along it put out
whole layers (``train/dormant.py``). So steps go without it: their mean over what a unit reads is 0
(Yong et al. 2020, "Gradient Centralization", arXiv 2004.01461).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

#: A weight with fewer rows or columns has too few directions to balance.
_LEAST_SIDE = 16
#: Of one with more of both, balancing costs more than the step itself.
_LARGEST_SIDE = 256
#: The quintic of Jordan et al.: five rounds bring every singular value between about 0.5 and 1.5.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
#: AdamW's steps have about this root mean square, in units of the rate (Liu et al. 2025).
_ADAM_RMS = 0.2
_EPS = 1e-8
#: Of the matrices, Nesterov's; of the rest, as AdamW has them.
_MOMENTUM, _BETAS = 0.95, (0.9, 0.999)


class Muon(torch.optim.Optimizer):
    """One optimiser for all parameters, see the module's text.

    Args:
        groups: parameters, or dictionaries with ``params`` and anything else to keep beside them.
        lr: the rate of all groups.
        weight_decay: decoupled, as AdamW's.
    """

    def __init__(
        self,
        groups: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step of every parameter that has a gradient.

        Args:
            closure: computes the loss anew, with gradients, and returns it.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                direction = _balanced if is_matrix(parameter) else _adam
                step = _centred(direction(_centred(parameter.grad), state))
                parameter.sub_(step, alpha=group["lr"])
        return loss


def is_matrix(parameter: Tensor) -> bool:
    """Whether Muon steps this weight: (rows, columns, ...) with enough of both.

    A convolution's weight (C', C, k, k) is a matrix (C', C k k). Depthwise kernels, whose rows
    never meet, biases and norms are not.
    """
    if parameter.ndim < 2 or parameter.shape[1] == 1:
        return False
    return _LEAST_SIDE <= min(len(parameter), parameter[0].numel()) <= _LARGEST_SIDE


def orthogonal(matrix: Tensor) -> Tensor:
    """(R, C) -> (R, C): about the nearest matrix whose singular values are all 1.

    Newton and Schulz's iteration: odd polynomials of a matrix change its singular values alone.
    """
    a, b, c = _QUINTIC
    x = matrix / matrix.norm().clamp(min=_EPS)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def _centred(step: Tensor) -> Tensor:
    """A step that leaves what a unit weighs its inputs by, all added up, as it is."""
    if step.ndim < 2 or step[0].numel() < _LEAST_SIDE:
        return step
    return step - step.mean(dim=tuple(range(1, step.ndim)), keepdim=True)


def _balanced(gradient: Tensor, state: dict[str, Any]) -> Tensor:
    """Muon's direction."""
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    mean = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
    ahead = gradient.lerp(mean, _MOMENTUM).flatten(1)
    size = _ADAM_RMS * max(ahead.shape) ** 0.5
    return size * orthogonal(ahead).reshape(gradient.shape)


def _adam(gradient: Tensor, state: dict[str, Any]) -> Tensor:
    """AdamW's direction (Loshchilov and Hutter 2019)."""
    if not state:
        state["step"] = 0
        state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    state["step"] += 1
    fast, slow = _BETAS
    state["mean"].lerp_(gradient, 1 - fast)
    state["square"].lerp_(gradient.square(), 1 - slow)
    mean = state["mean"] / (1 - fast ** state["step"])
    square = state["square"] / (1 - slow ** state["step"])
    return mean / (square.sqrt() + _EPS)


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "muon": Muon,
    "adamw": torch.optim.AdamW,
}
