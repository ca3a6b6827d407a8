"""Turns a checkpoint into a bundle: `python -m export checkpoint/ -o bundle/`.

checkpoint.py   a Hugging Face folder, opened as data only
convert.py      checkpoint -> fp32 ONNX (Optimum's exporter)
simplify.py     fp32 ONNX -> fp32 ONNX with only those operations that one paper's logits need
quantize.py     fp32 ONNX -> int8 ONNX (Optimum's quantizer)
papers.py       real papers whose categories are known, and which of them to verify on
verify.py       what must hold between PyTorch, fp32 and int8, and by which bounds
measure.py      quality on all papers, and the threshold that it yields
flips.py        labels that quantizing changes, on the same papers
build.py        all of it in order

What `simplify` is made of:

graph.py        an ONNX graph that can be changed
shapes.py       the shapes of its values
values.py       what values are at every length of a paper
lengths.py      masks, token types, positions and shapes, folded
cuts.py         how operators treat the elements along an axis
first_token.py  what the first token's logits do not need, cut away
heads.py        attention without a batch axis

and gives a bundle its views: `python -m export.views bundle/ --linear linear.safetensors -o bundle/`.

mix.py          weights by which the available papers speak for today's
slices.py       where labels are right and wrong
attach.py       the views in manifest, curves and card
views.py        the command; how views are combined is in ro32/refresh/combine.py

and lays it out for others: `python -m export.push checkpoint/ --bundle bundle/ -o hub/`.

push.py         a repository of the Hugging Face hub
restore.py      a bundle's encoder as a checkpoint again
model.mk        `make model`: every step from papers to the bundle that ships
"""

import sys
from importlib.util import find_spec

import ro32 as ro32  # before onnxruntime and transformers: it switches their usage reports off
from ro32.errors import UsageError

for _package in ("onnx", "optimum", "torch", "transformers"):
    if find_spec(_package) is None:  # a scoring host has none of them; each module here would end in a traceback
        print(f"export: this needs the package {_package}; run: pip install 'ro32[export]'", file=sys.stderr)
        sys.exit(UsageError.exit_code)
