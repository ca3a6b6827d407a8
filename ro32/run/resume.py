"""What a killed run left for this one: finished parts, verified and taken over."""

from ro32.data.labels import outcomes_of
from ro32.data.papers import Part
from ro32.model.outcomes import OutcomeIndex
from ro32.run.job import Job
from ro32.run.journal import Journal, Stage
from ro32.run.parts import PartStore


def take_over(job: Job, store: PartStore, current: OutcomeIndex, journal: Journal) -> list[Part]:
    """Read the parts that are finished, and return those that are not, in their order.

    Args:
        job: The run.
        store: Its parts.
        current: Gets the outcomes of the finished ones, so that their texts are not scored again elsewhere.
        journal: Told what became of their rows.

    Raises:
        OSError: The disk failed.
    """
    journal.enter(Stage.RESUME)
    todo: list[Part] = []
    for part in job.plan.parts:
        finished = store.load(part)
        if finished is None:
            todo.append(part)
            continue
        for batch in finished.table.to_batches():
            current.add(*outcomes_of(batch))
        journal.resumed += finished.counts
    return todo
