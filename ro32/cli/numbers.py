"""Options that are numbers: Click's, which say of a word that it is no number, and not that it is no "float range"."""

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A number within bounds."""

    name = "number"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as Click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Read a number; NaN, which every comparison with a bound lets pass, is none."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Count(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"
