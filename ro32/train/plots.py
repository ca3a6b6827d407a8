"""The card's pictures: how the loss fell, and precision against recall."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ro32.model.metrics import Curve

LOSS, CURVE = "loss.png", "precision_recall.png"
SIZE_INCHES = (6.4, 4.0)


def plot_loss(metrics: list[dict[str, Any]], path: Path) -> None:
    """Draw training loss by step, smoothed, and validation loss by epoch, from the lines of metrics.jsonl."""
    steps = [line["step"] for line in metrics if "training_loss" not in line]
    losses = [line["loss"] for line in metrics if "training_loss" not in line]
    epochs = [line for line in metrics if "training_loss" in line]
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="C0", alpha=0.3, linewidth=0.8)
    window = max(len(losses) // 20, 1)  # a twentieth of the run
    smooth = pl.Series(losses, dtype=pl.Float64).rolling_mean(window, min_samples=1, center=True)
    axes.plot(steps, smooth, color="C0", label="training: the papers shown, all tasks")
    ends, validation_losses = [line["step"] for line in epochs], [line["loss"] for line in epochs]
    axes.plot(ends, validation_losses, "o", color="C1", label="validation, weighted to speak for all papers")
    axes.set(xlabel="step", ylabel="cross-entropy", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path)


def plot_curve(curve: Curve, best_threshold: float, path: Path) -> None:
    """Draw precision against recall of the validation papers, with the point of the highest F1."""
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.step(curve.recall, curve.precision, where="pre", label=f"average precision {curve.average_precision:.3f}")
    at = max(int(np.sum(curve.thresholds >= best_threshold)) - 1, 0)
    axes.plot(curve.recall[at], curve.precision[at], "o", label=f"best F1 {curve.f1[at]:.3f} at {best_threshold:.3f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path)
