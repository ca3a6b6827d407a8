"""Refreshing a bundle: its linear view, combination, threshold and cascade are fitted anew on a dump, and judged."""
