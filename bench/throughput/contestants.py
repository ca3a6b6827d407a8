"""The participants of the comparison."""

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to score papers."""

    name: str  # in results files, of its folder, and of its functions in `bench.throughput.peers`
    title: str  # in reports
    packages: tuple[str, ...] = ()  # what it needs besides transformers
    settings: tuple[str, ...] = ("1", "8", "32")  # what is tried to find the fastest
    fixed: tuple[str, ...] = ()  # settings that are in the contest in any case

    @property
    def installed(self) -> bool:
        """Return whether its packages are there."""
        return all(importlib.util.find_spec(name) is not None for name in self.packages)


OURS = Contestant(name="ro32", title="ro32", settings=("1",))
SHIPPED = Contestant(name="ro32-shipped", title="ro32, the model that ships, both views", settings=("1",))
PEERS = (
    Contestant(name="transformers", title="transformers pipeline, fp32", fixed=("32",)),
    Contestant(name="optimum", title="Optimum pipeline, int8", packages=("optimum",)),
    Contestant(
        name="cross-encoder-onnx",
        title="sentence-transformers, ONNX int8",
        packages=("sentence_transformers", "optimum"),
    ),
    Contestant(
        name="cross-encoder-openvino",
        title="sentence-transformers, OpenVINO int8",
        packages=("sentence_transformers", "openvino", "datasets"),
    ),
    Contestant(
        name="openvino",
        title="OpenVINO, NNCF int8, async",
        packages=("openvino", "nncf"),
        settings=("f32", "bf16"),
    ),
    Contestant(name="torch-compile", title="torch.compile, fp32"),
)
TITLES = {"base": "BERT-base size", "small": "MiniLM-L6 size", "shipped": "The model that ships"}
"""Of subjects and models, in reports."""
