"""A folder as output: a labels file for each input file, and a manifest after the last."""
