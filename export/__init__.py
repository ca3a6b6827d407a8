"""Turns a checkpoint into a bundle, adds views and cascade to it, and lays it out for others.

python -m export            convert, simplify, quantize, verify and measure: build.py has it in order
python -m export.views      linear view, combination and card: attach.py
python -m export.certify    cascade
python -m export.push       repository of the Hugging Face hub
python -m export.restore    a bundle's encoder as a checkpoint again
model.mk                    `make model`: every step from papers to the bundle that ships

simplify.py rewrites an ONNX graph (graph.py). By shapes and values at every length of a paper (values.py), it folds
masks, positions and shapes (lengths.py), cuts away what the first token's logits do not need (first_token.py, by the
rules in cuts.py), and drops the batch axis of the attention (heads.py).
"""

import sys
from importlib.util import find_spec

import ro32 as ro32  # before onnxruntime and transformers: it switches their usage reports off
from ro32.errors import UsageError

for _package in ("onnx", "optimum", "torch", "transformers"):
    if find_spec(_package) is None:  # a scoring host has none of them; each module here would end in a traceback
        print(f"export: this needs the package {_package}; run: pip install 'ro32[export]'", file=sys.stderr)
        sys.exit(UsageError.exit_code)
