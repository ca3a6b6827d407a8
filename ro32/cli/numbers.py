"""Numeric options with error messages in plain words, instead of Click's "float range"."""

import click


class Number(click.FloatRange):
    """A number within bounds."""

    name = "number"


class Count(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"
