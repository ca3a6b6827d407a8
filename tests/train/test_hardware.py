"""Which device is taken, and how much it is given at a time."""

from types import SimpleNamespace

import pytest
import torch

from ro32.errors import UsageError
from ro32.train.device import DType, Kind
from ro32.train.hardware import open_device


@pytest.mark.parametrize(("gibibytes", "tokens"), [(80, 81_920), (8, 8_192), (0.25, 512)])
def test_a_gpu_is_given_as_many_tokens_as_it_has_memory_for(
    monkeypatch: pytest.MonkeyPatch, gibibytes: float, tokens: int
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    found = SimpleNamespace(total_memory=int(gibibytes * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _index: found)
    device = open_device(Kind.CUDA, DType.AUTO)
    assert (device.torch_device.type, device.name, device.bfloat16) == ("cuda", "a GPU", True)
    assert device.tokens_per_pass == tokens


def test_a_gpu_that_is_not_there_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device found; use --device cpu"):
        open_device(Kind.CUDA, DType.AUTO)


def test_the_processor_is_taken_where_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ro32.train.hardware.importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device = open_device(Kind.AUTO, DType.FLOAT32)
    assert (device.torch_device.type, device.bfloat16) == ("cpu", False)
