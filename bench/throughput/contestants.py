"""The participants of the comparison."""

import importlib.util
from dataclasses import dataclass

BATCHES = ("1", "8", "32")


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to score papers.

    Attributes:
        name: In results files.
        title: In reports.
        load: Function of `bench.throughput.peers` that loads it; "ro32" for ro32 itself.
        prepare: Function of the same that makes its files from the checkpoint, and the folder that then is there.
        packages: What it needs besides transformers.
        settings: What is tried to find the fastest.
        fixed: Settings that are in the contest in any case.
    """

    name: str
    title: str
    load: str
    prepare: tuple[str, str] | None = None
    packages: tuple[str, ...] = ()
    settings: tuple[str, ...] = BATCHES
    fixed: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Return whether its packages are there."""
        return all(importlib.util.find_spec(name) is not None for name in self.packages)


OURS = Contestant(name="ro32", title="ro32", load="ro32", settings=("1",))
SHIPPED = Contestant(name="ro32-shipped", title="ro32, the model that ships, both views", load="ro32", settings=("1",))
TRANSFORMERS = Contestant(
    name="transformers", title="transformers pipeline, fp32", load="load_transformers", fixed=("32",)
)
OPTIMUM = Contestant(
    name="optimum",
    title="Optimum pipeline, int8",
    load="load_optimum",
    prepare=("prepare_optimum", "optimum"),
    packages=("optimum",),
)
OPENVINO = Contestant(
    name="openvino",
    title="OpenVINO, NNCF int8, async",
    load="load_openvino",
    prepare=("prepare_openvino", "openvino"),
    packages=("openvino", "nncf"),
    settings=("f32", "bf16"),
)
PEERS = (
    TRANSFORMERS,
    OPTIMUM,
    Contestant(
        name="cross-encoder-onnx",
        title="sentence-transformers, ONNX int8",
        load="load_cross_encoder_onnx",
        prepare=("prepare_cross_encoder_onnx", "cross-encoder-onnx"),
        packages=("sentence_transformers", "optimum"),
    ),
    Contestant(
        name="cross-encoder-openvino",
        title="sentence-transformers, OpenVINO int8",
        load="load_cross_encoder_openvino",
        prepare=("prepare_cross_encoder_openvino", "cross-encoder-openvino"),
        packages=("sentence_transformers", "openvino", "datasets"),
    ),
    OPENVINO,
    Contestant(name="torch-compile", title="torch.compile, fp32", load="load_compiled"),
)
BY_NAME = {contestant.name: contestant for contestant in (OURS, SHIPPED, *PEERS)}
TITLES = {
    "base": "BERT-base size",
    "small": "MiniLM-L6 size",
    "shipped": "The model that ships",
}
"""Of subjects and models, in reports."""
