"""fp32 ONNX -> the same model, with only the operations that one paper's logits need.

Rewritten is what the scorer can rely on: a run holds one unpadded paper, and the head reads the first token. Each step
is exact, but for the order of two sums; `export.verify` compares the result with PyTorch like any other graph.
"""

from dataclasses import dataclass
from pathlib import Path

import onnx

from export.first_token import read_first_token
from export.graph import Graph, UnsupportedGraphError
from export.heads import drop_batch_axis
from export.lengths import fold_lengths, one_paper


@dataclass(frozen=True, kw_only=True)
class Simplified:
    """What became of a graph."""

    path: Path  # the ONNX file to go on with
    products: int  # matrix products that are computed for the first token alone
    description: str  # what was done, or why nothing could be, in one line


def simplify(model: Path, target: Path, *, max_length: int) -> Simplified:
    """Write a graph of one paper: input_ids of shape (1, t) -> logits, t at most `max_length`.

    The model is as Optimum's exporter writes it, with any of the inputs input_ids, attention_mask and token_type_ids.

    Returns:
        The new file; the old one where the graph is of a kind that this module does not understand.
    """
    try:
        graph = Graph(onnx.load(model))
        one_paper(graph)
    except UnsupportedGraphError as error:
        return Simplified(path=model, products=0, description=f"the graph stays as the exporter wrote it: {error}")
    before = len(graph.nodes)
    fold_lengths(graph, max_length)
    products = read_first_token(graph)
    drop_batch_axis(graph)
    simplified = graph.to_model()
    onnx.checker.check_model(simplified)
    onnx.save(simplified, target)
    cut = f"{products} products are for the first token alone" if products else "the head reads more than one token"
    after = len(simplified.graph.node)
    return Simplified(
        path=target, products=products, description=f"one paper a run: {before} operations became {after}, {cut}"
    )
