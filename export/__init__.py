"""Turns a checkpoint into a bundle: `python -m export checkpoint/ -o bundle/`.

checkpoint.py   a Hugging Face folder, opened as data only
convert.py      checkpoint -> fp32 ONNX (Optimum's exporter)
quantize.py     fp32 ONNX -> int8 ONNX (Optimum's quantizer)
papers.py       real papers whose categories are known, and which of them to verify on
verify.py       what must hold between PyTorch, fp32 and int8, and by which bounds
measure.py      quality on all papers, and the threshold that it yields
card.py         the model card, with what was measured
publish.py      the folder, complete or not at all
build.py        all of it in order

and gives a bundle its views: `python -m export.views bundle/ --linear linear.safetensors -o bundle/`.

combine.py      encoder and linear view -> one calibrated probability
slices.py       where labels are right and wrong
attach.py       the views in manifest, curves and card
views.py        the command
model.mk        `make model`: every step from papers to the bundle that ships
"""
