"""Signals at random moments, in the middle of whatever the run is doing: computing, too."""

import random
import signal
from dataclasses import replace

import pytest

from tests.conftest import SEED
from tests.faults import aftermath, tally
from tests.faults.lanes import Lane, Lanes
from tests.faults.runs import Job
from tests.faults.scene import State

CODES = {
    signal.SIGKILL: {0, -signal.SIGKILL},
    signal.SIGTERM: {0, 143, -signal.SIGTERM},  # the last before Python could install its handlers
    signal.SIGINT: {0, 130, -signal.SIGINT},
}


@pytest.mark.parametrize(
    ("state", "number", "times"),
    [
        (State.USED, signal.SIGKILL, 12),
        (State.USED, signal.SIGTERM, 5),
        *(pytest.param(state, number, 200, marks=pytest.mark.full) for state in State for number in CODES),
    ],
)
def test_a_signal_at_any_moment(lanes: Lanes, state: State, number: signal.Signals, times: int) -> None:
    chance = random.Random(f"{SEED} {state} {number} {times}")
    seconds: list[float] = []

    def strike(lane: Lane, job: Job) -> None:
        scene = lane.scenes[state]
        scene.restore()
        ended = lane.server.run(replace(job, args=scene.args))
        aftermath.check(scene, ended, CODES[number])
        seconds.append(ended.seconds)
        if ended.code != 0:  # else it was over already
            tally.injected(f"random moments at which {number.name} came")

    lanes.each([Job(args=())] * 4, strike)  # to learn how long a run takes
    moments = [chance.uniform(0, min(seconds)) for _ in range(times)]
    lanes.each([Job(args=(), signal=number, signal_after_s=moment) for moment in moments], strike)
