"""Options that are numbers: Click's, which say of a word that it is no number, and not that it is no "float range"."""

import click


class Number(click.FloatRange):
    """A number within bounds."""

    name = "number"


class Count(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"
