"""The model: text to tokens and n-grams, its views, the cascade, the operating point, and the bundle on disk."""
