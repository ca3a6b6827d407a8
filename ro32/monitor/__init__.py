"""Monitoring of a run: dry run, report and metrics."""
