"""One optimizer step, the same on every device, without waiting for the device."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from ro32.train.batches import Batch
from ro32.train.config import Optimizer, Recipe
from ro32.train.device import Device
from ro32.train.encoder import LABELS

BETAS = (0.9, 0.999)
EPSILON = 1e-8
STATE_NAMES = ("exp_avg", "exp_avg_sq")


class Stepper:
    """A model, on its device and in training mode, with its optimizer and a schedule of so many steps."""

    def __init__(self, model: PreTrainedModel, recipe: Recipe, device: Device, *, total_steps: int) -> None:
        self.model, self._recipe, self._device, self._total = model, recipe, device, total_steps
        self._warmup = int(recipe.warmup_share * total_steps)
        self._optimizer = _make_optimizer(model, recipe, device)
        self._loss_sum = device.put_scalar(0.0)
        self._hold_whole()

    def take(self, batches: Sequence[Batch], *, step: int) -> None:
        """Update the weights by the papers of one step, batches of one shape.

        The number of steps taken before decides, with the seed, the rate and all random numbers: nothing else needs to
        be remembered to go on later.
        """
        device = self._device
        device.seed(int(np.random.SeedSequence([self._recipe.seed, step]).generate_state(1)[0]))
        share = schedule(step, total=self._total, warmup=self._warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = device.changing(group["peak"] * share)
        papers = device.put_scalar(float(sum(batch.row_mask.sum() for batch in batches)))
        for batch in batches:
            loss = self._losses(batch).sum() / papers
            loss.backward()
            self._loss_sum = self._loss_sum + loss.detach()
        if self._recipe.max_gradient_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        device.finish()

    @property
    def loss_sum(self) -> float:
        """Sum of the steps' losses since it was last set. Reading it waits for the device."""
        return float(self._loss_sum.cpu())

    @loss_sum.setter
    def loss_sum(self, value: float) -> None:
        self._loss_sum = self._device.put_scalar(value)

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """Return copies of the moments on the CPU, named after their weights."""
        return {
            f"{state_name}.{name}": self._optimizer.state[parameter][state_name].detach().cpu().clone()
            for name, parameter in _trained(self.model)
            for state_name in STATE_NAMES
        }

    def restore(self, weights: dict[str, torch.Tensor], moments: dict[str, torch.Tensor], *, step: int) -> None:
        """Put back what `optimizer_state` and the model's `state_dict` gave after `step` steps."""
        for name, parameter in _trained(self.model):
            state = self._optimizer.state[parameter]
            state["step"] = torch.as_tensor(self._device.changing(float(step)))
            for state_name in STATE_NAMES:
                state[state_name] = moments[f"{state_name}.{name}"].to(self._device.torch_device)
        self.put_weights(weights)

    def put_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Put weights into the model, named as in its `state_dict`; the moments stay as they are."""
        self.model.load_state_dict(weights)
        self._hold_whole()

    def _hold_whole(self) -> None:
        for parameter in self.model.parameters():
            self._device.hold_whole(parameter)
            for tensor in self._optimizer.state.get(parameter, {}).values():
                self._device.hold_whole(tensor)

    def _losses(self, batch: Batch) -> torch.Tensor:
        """Return each row's cross-entropy, with the auxiliary task's if there is one; 0 for filler rows; shape (b,)."""
        put = self._device.put_rows
        logits, positive = self._device.logits(self.model, batch), put(batch.targets)
        targets = torch.stack([1 - positive, positive], dim=1)
        losses = nn.functional.cross_entropy(logits[:, :LABELS], targets, reduction="none")
        if self._recipe.auxiliary_weight:
            cross_entropy = nn.functional.binary_cross_entropy_with_logits
            named = cross_entropy(logits[:, LABELS:], put(batch.auxiliary), reduction="none")
            losses = losses + self._recipe.auxiliary_weight * named.sum(dim=1)
        return losses * put(batch.row_mask)


def schedule(step: int, *, total: int, warmup: int) -> float:
    """Return the share of the peak rate at a step: a linear rise over `warmup` steps, then a linear fall to 0.

    Source: transformers.get_linear_schedule_with_warmup, which trained the original.
    """
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / max(1, total - warmup))


def _trained(model: PreTrainedModel) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the weights that are not frozen, by name."""
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def _make_optimizer(model: PreTrainedModel, recipe: Recipe, device: Device) -> torch.optim.Optimizer:
    """Build the optimizer: head and encoder, decayed and undecayed weights in groups of their own."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in _trained(model):
        in_head = not name.startswith(f"{model.base_model_prefix}.")
        groups.setdefault((in_head, parameter.ndim > 1), []).append(parameter)
    settings: list[dict[str, Any]] = []
    for (in_head, decays), parameters in groups.items():
        peak = (recipe.head_learning_rate if in_head else None) or recipe.learning_rate
        decay = recipe.weight_decay if decays else 0.0
        settings.append({"params": parameters, "lr": device.changing(peak), "peak": peak, "weight_decay": decay})
    kind = torch.optim.AdamW if recipe.optimizer is Optimizer.ADAMW else torch.optim.Adam
    # Capturable keeps the step count on the device, where it is no constant of the graph.
    foreach = False if device.compiles else None
    optimizer = kind(settings, betas=BETAS, eps=EPSILON, capturable=device.compiles, foreach=foreach)
    # Made here and not by the first step, which would be a graph of its own.
    for _, parameter in _trained(model):
        zeros = torch.zeros(parameter.shape)
        optimizer.state[parameter] = {name: zeros.to(device.torch_device, copy=True) for name in STATE_NAMES}
        optimizer.state[parameter]["step"] = torch.as_tensor(device.changing(0.0))
    return optimizer
