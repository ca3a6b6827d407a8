"""Selects the engine by the options of a command."""

import re
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from ro32.errors import UsageError
from ro32.model.bundle import Bundle
from ro32.run.engine import Engine, score_locally


class EngineName(StrEnum):
    """What scores the parts of a run."""

    LOCAL = "local"
    RAY = "ray"


def make_engine(name: EngineName, bundle: Path, *, ray_address: str | None, ray_actors: str | None) -> Engine:
    """Return the engine that options ask for."""
    if name is EngineName.LOCAL:
        if ray_address is not None or ray_actors is not None:
            raise UsageError("--ray-address and --ray-actors need --engine ray")
        return score_locally
    if find_spec("ray") is None:
        raise UsageError("the engine ray needs the package ray; run: pip install 'ro32[ray]'")
    from ro32.cluster.ray_engine import RayEngine  # noqa: PLC0415 - it imports Ray

    least, most = (1, None) if ray_actors is None else parse_actors(ray_actors)
    return RayEngine(Bundle.load(bundle), address=ray_address, least=least, most=most)


def parse_actors(text: str) -> tuple[int, int]:
    """Read "MIN:MAX", or one number for both; raise UsageError if it is neither."""
    found = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", text)
    if found is None:
        raise UsageError(f"--ray-actors {text}: expected a number, or two as in 2:16")
    return int(found[1]), int(found[2] or found[1])
