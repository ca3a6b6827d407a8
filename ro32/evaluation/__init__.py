"""What a model is worth: its scores against the categories that the dump itself carries."""
