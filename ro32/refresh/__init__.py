"""Refreshes a bundle: fits and tests its linear view, combination, threshold and cascade on a dump."""
