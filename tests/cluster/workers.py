"""Workers with faults. Nodes import this module by its name, so it holds nothing of pytest."""

import os
import signal
import time
from pathlib import Path

from ro32.cluster.worker import SavedPart, Worker
from ro32.model.outcomes import OutcomeIndex
from ro32.run.parts import PartFolder
from ro32.run.plan import Plan
from ro32.storage.local_parts import LocalParts

LETHAL = 2
"""Number of the part that kills its worker, in files of more than two parts."""


def _log(folder: PartFolder) -> Path:
    """Return a file beside the parts."""
    assert isinstance(folder, LocalParts)
    return folder.path.parent / "log"


class LoggingWorker(Worker):
    """Tells, in a file beside the parts, which part it is about to score, and takes its time."""

    def score(self, plan: Plan, folder: PartFolder, previous: OutcomeIndex) -> SavedPart:
        """Score a part."""
        with _log(folder).open("a") as log:
            log.write(f"{plan.parts[0].index} {os.getpid()}\n")
        time.sleep(0.3)
        return super().score(plan, folder, previous)


class MortalWorker(Worker):
    """Dies of one part."""

    def score(self, plan: Plan, folder: PartFolder, previous: OutcomeIndex) -> SavedPart:
        """Score a part, or die."""
        if plan.parts[0].index == LETHAL:
            with _log(folder).open("a") as log:
                log.write("died\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(plan, folder, previous)
