"""A real cluster of Ray on this machine."""

from collections.abc import Iterator
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from tests.storage.bucket import CREDENTIALS
from tests.storage.conftest import bucket, make_bucket, s3_server  # noqa: F401 - fixtures

TRIES = 3
"""Ray gives up a node that is not there within 30 seconds, and no option changes that: too soon on a busy machine."""
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
HEALTH = {"health_check_period_ms": 500, "health_check_timeout_ms": 60_000, "health_check_failure_threshold": 5}
"""A node that is gone refuses at once, five times in a few seconds; one that is only slow has a minute to answer."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes with one processor each. In their environment are credentials for the store of `tests.storage`."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        nodes = _start()
    yield nodes
    nodes.shutdown()


def _start() -> Cluster:
    for left in reversed(range(TRIES)):
        nodes = Cluster()
        try:
            nodes.add_node(**NODE, include_dashboard=False, _system_config=HEALTH)
            nodes.add_node(**NODE)
        except Exception:  # Ray raises no other
            nodes.shutdown()
            if not left:
                raise
        else:
            return nodes
    raise AssertionError  # the last try returns or raises
