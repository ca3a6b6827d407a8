"""A results file with a throughput section, small enough to know every figure of it."""

from copy import deepcopy
from typing import Any


def spread(median: float) -> dict[str, float]:
    """Return a median with quartiles around it."""
    return {"median": median, "q1": median * 0.975, "q3": median * 1.025}


def entry(title: str, setting: str, rate: float, flips: int) -> dict[str, Any]:
    """Return a contestant's figures."""
    return {
        "title": title,
        "setting": setting,
        "papers_per_s": spread(rate),
        "tokens_per_s": spread(rate * 190),
        "cold_start_s": {"load": 1.0, "first_paper": 0.5, "total": 1.5},
        "peak_rss_bytes": 500_000_000,
        "sweep_papers_per_s": {setting: rate},
        "papers": 600,
        "drawn": 500,
        "average_precision": 0.95,
        "average_precision_loss": 0.001,
        "flips": flips,
    }


def entries(scale: float) -> dict[str, Any]:
    """Return the figures of a contest."""
    return {
        "transformers": entry("transformers pipeline, fp32", "1", 5 * scale, 0),
        "transformers-32": entry("transformers pipeline, fp32", "32", 4 * scale, 0),
        "ro32": entry("ro32", "1", 40 * scale, 1),
    }


def threads(rate: float) -> dict[str, Any]:
    """Return what a model does on some threads."""
    return {
        str(count): {
            "papers_per_s": spread(rate * count),
            "tokens_per_s": spread(190 * rate * count),
            "peak_operations_per_s": spread(8e11 * count),
            "useful_operations_per_s": spread(5e11 * count),
            "share_of_peak": spread(0.625),
        }
        for count in (1, 2)
    }


FIGURES: dict[str, Any] = {
    "contest": {"base": entries(1), "small": entries(5) | {"ro32-shipped": entry("the model that ships", "1", 200, 0)}},
    "bundles": {"shipped": "a" * 64, "base": "b" * 64},
    "shipped_export": {"ap_loss": 0.001, "flips_of_all": {"papers": 1_000, "compared": 9, "flips": 2}},
    "threads": {"shipped": threads(100), "base": threads(20)},
    "stages_s": {name: {"model": spread(2.0), "tokenize": spread(0.1)} for name in ("shipped", "base")},
    "operators": {"shipped": {"DynamicQuantizeMatMul": 0.7, "Gelu": 0.3}, "base": {"DynamicQuantizeMatMul": 1.0}},
    "length_s": {"shipped": {"32": spread(0.001), "64": spread(0.002)}, "base": {"32": spread(0.01)}},
    "without_model": {
        "papers_per_s": spread(2_000),
        "papers_per_processor_s": spread(2_100),
        "stages_s": {"tokenize": 1.0},
    },
}


def content() -> dict[str, Any]:
    """Return the results file; a copy, to be changed at will."""
    moment = {"at": "2026-01-01T00:00:00+00:00", "load_1min": 0.5, "commit": "abc"}
    section = {
        "before": moment,
        "after": moment,
        "settings": {"repeats": 5, "peers": {"openvino": "1"}, "left_out": [], "papers": {"base": 128}},
        "figures": FIGURES,
        "checks": [
            {"what": "speed", "found": 2.0, "at_least": 1.0, "holds": True},
            {"what": "loss", "found": 2.0, "at_most": 1.0, "holds": False},
        ],
    }
    machine = {
        "processor": "P",
        "cores": 2,
        "flags": ["avx2"],
        "memory_bytes": 1,
        "python": "3.11",
        "system": "Linux",
        "versions": {"ro32": "1"},
    }
    return deepcopy({"format": 1, "machine": machine, "sections": {"throughput": section}})
