"""The alternatives to ro32, each used as in its own documentation, on all cores.

A peer is made from the checkpoint once (`prepare_...`), and loaded by a process of its own (`load_...`). It takes texts
of the form "title[SEP]abstract" and gives probabilities. A setting is a batch size. OpenVINO's own interface takes
papers one by one; its setting is the number format of the operators that are not int8.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ro32.model.text import normalize

Scorer = Callable[[Sequence[str], str], NDArray[np.float64]]
"""(n texts, setting) -> n probabilities of the positive label."""
POSITIVE = 1  # index of the positive label: that of every checkpoint here
SEPARATOR = "[SEP]"
CALIBRATION_PAPERS = 300  # what NNCF takes by default, and sentence-transformers too


def texts_of(papers: Path) -> list[str]:
    """Return the texts of a Parquet file."""
    frame = pl.read_parquet(papers, columns=["title", "abstract"]).select(normalize(pl.all()))
    return [f"{title}{SEPARATOR}{abstract}" for title, abstract in frame.iter_rows()]


def load_transformers(folder: Path) -> Scorer:
    """Load the pipeline of transformers, in float32.

    Source: https://huggingface.co/docs/transformers/main_classes/pipelines#pipeline-batching
    """
    from transformers import pipeline

    return _of_pipeline(pipeline("text-classification", model=str(folder / "checkpoint"), device="cpu"))


def prepare_optimum(folder: Path, _learn: Path) -> None:
    """Quantize by Optimum's recipe for processors with VNNI.

    Source: https://huggingface.co/docs/optimum-onnx/onnxruntime/usage_guides/quantization
    """
    from optimum.onnxruntime import ORTModelForSequenceClassification, ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    model = ORTModelForSequenceClassification.from_pretrained(folder / "checkpoint", export=True)
    recipe = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=False)
    ORTQuantizer.from_pretrained(model).quantize(save_dir=folder / "optimum", quantization_config=recipe)


def load_optimum(folder: Path) -> Scorer:
    """Load Optimum's int8 model into the pipeline of transformers."""
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    model = ORTModelForSequenceClassification.from_pretrained(folder / "optimum", file_name="model_quantized.onnx")
    tokenizer = AutoTokenizer.from_pretrained(folder / "checkpoint")
    return _of_pipeline(pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu"))


def prepare_cross_encoder_onnx(folder: Path, _learn: Path) -> None:
    """Quantize by sentence-transformers' recipe.

    Source: https://sbert.net/docs/cross_encoder/usage/efficiency.html
    """
    from sentence_transformers import CrossEncoder, export_dynamic_quantized_onnx_model

    target = folder / "cross-encoder-onnx"
    model = CrossEncoder(str(folder / "checkpoint"), backend="onnx", model_kwargs={"export": True})
    model.save_pretrained(str(target))
    export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(target))


def load_cross_encoder_onnx(folder: Path) -> Scorer:
    """Load sentence-transformers' int8 ONNX model."""
    return _cross_encoder(folder / "cross-encoder-onnx", "onnx", "onnx/model_qint8_avx512_vnni.onnx")


def prepare_cross_encoder_openvino(folder: Path, learn: Path) -> None:
    """Quantize statically by sentence-transformers' recipe, calibrated on papers instead of on film reviews."""
    from sentence_transformers import CrossEncoder, export_static_quantized_openvino_model

    target = folder / "cross-encoder-openvino"
    model = CrossEncoder(str(folder / "checkpoint"), backend="openvino", model_kwargs={"export": True})
    model.save_pretrained(str(target))
    with tempfile.TemporaryDirectory() as papers:
        pl.DataFrame({"text": texts_of(learn)}).write_parquet(Path(papers) / "train.parquet")
        export_static_quantized_openvino_model(
            model,
            None,
            str(target),
            dataset_name=papers,
            dataset_config_name="default",
            dataset_split="train",
            column_name="text",
        )


def load_cross_encoder_openvino(folder: Path) -> Scorer:
    """Load sentence-transformers' int8 OpenVINO model."""
    return _cross_encoder(folder / "cross-encoder-openvino", "openvino", "openvino/openvino_model_qint8_quantized.xml")


def _cross_encoder(folder: Path, backend: Any, file_name: str) -> Scorer:  # noqa: ANN401 - one of three literals
    from sentence_transformers import CrossEncoder
    from tokenizers.processors import TemplateProcessing

    model = CrossEncoder(str(folder), backend=backend, model_kwargs={"file_name": file_name})
    # It takes pairs alone, which its tokenizer would give two token types; these checkpoints know one.
    tokenizer = model.tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0",
        special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", SEPARATOR)],
    )

    def score(texts: Sequence[str], setting: str) -> NDArray[np.float64]:
        pairs = [text.split(SEPARATOR, 1) for text in texts]
        found = model.predict(pairs, batch_size=int(setting), apply_softmax=True, show_progress_bar=False)
        return np.asarray(found, dtype=np.float64)[:, POSITIVE]

    return score


def prepare_openvino(folder: Path, learn: Path) -> None:
    """Quantize statically by NNCF, calibrated on papers.

    Source: https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html
    """
    import nncf
    import openvino as ov
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "checkpoint")
    papers = [
        dict(tokenizer(text, truncation=True, return_tensors="np")) for text in texts_of(learn)[:CALIBRATION_PAPERS]
    ]
    quantized = nncf.quantize(
        ov.convert_model(folder / "onnx" / "model.onnx"),
        nncf.Dataset(papers),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=CALIBRATION_PAPERS,
    )
    ov.save_model(quantized, folder / "openvino" / "model.xml")


def load_openvino(folder: Path) -> Scorer:
    """Load NNCF's int8 model, to be asked asynchronously, one paper a request, with the hint for throughput.

    Source: https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/high-level-performance-hints.html
    """
    import openvino as ov
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "checkpoint")
    core = ov.Core()
    model = core.read_model(folder / "openvino" / "model.xml")
    compiled: dict[str, Any] = {}

    def score(texts: Sequence[str], setting: str) -> NDArray[np.float64]:
        if setting not in compiled:
            hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": setting}
            compiled[setting] = ov.AsyncInferQueue(core.compile_model(model, "CPU", hints))
        logits = np.zeros((len(texts), 2))

        def keep(request: Any, row: int) -> None:  # noqa: ANN401 - OpenVINO publishes no types
            logits[row] = request.get_output_tensor(0).data[0]

        queue = compiled[setting]
        queue.set_callback(keep)
        for row, text in enumerate(texts):
            queue.start_async(dict(tokenizer(text, truncation=True, return_tensors="np")), row)
        queue.wait_all()
        return _probabilities(logits)

    return score


def load_torch_compile(folder: Path) -> Scorer:
    """Load the PyTorch model through torch.compile, in float32; batches of papers of about one length.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "checkpoint")
    model = AutoModelForSequenceClassification.from_pretrained(folder / "checkpoint").eval()
    compiled: Any = torch.compile(model, dynamic=True)

    def score(texts: Sequence[str], setting: str) -> NDArray[np.float64]:
        logits = np.zeros((len(texts), 2))
        by_length = np.argsort([len(text) for text in texts])
        for start in range(0, len(texts), int(setting)):
            rows = by_length[start : start + int(setting)]
            batch = tokenizer([texts[row] for row in rows], padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                logits[rows] = compiled(**batch).logits.numpy()
        return _probabilities(logits)

    return score


def _of_pipeline(pipe: Any) -> Scorer:  # noqa: ANN401 - a class for each task
    label = pipe.model.config.id2label[POSITIVE]

    def score(texts: Sequence[str], setting: str) -> NDArray[np.float64]:
        found = pipe(list(texts), batch_size=int(setting), truncation=True, top_k=None)
        return np.array([next(item["score"] for item in paper if item["label"] == label) for paper in found])

    return score


def _probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(logits[:, 1 - POSITIVE] - logits[:, POSITIVE]))
