"""Bundles to keep: where they come from, where they are installed, and how they appear there whole."""
