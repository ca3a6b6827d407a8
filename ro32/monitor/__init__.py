"""What an operator sees of a run: what it would do, what it did, and metrics of it."""
