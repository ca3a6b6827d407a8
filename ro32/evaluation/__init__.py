"""Quality of a model: its scores against the categories in the dump."""
