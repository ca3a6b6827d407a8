"""What an evaluation found, for readers: a table for a terminal, JSON for machines, a page for a browser."""
