"""The work of an actor: it holds one session, scores parts, and writes them where the driver asks."""

from dataclasses import dataclass
from pathlib import Path

from ro32.errors import BundleError, TryAgainError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CURVES, LINEAR, MODEL, TOKENIZER, sha256
from ro32.model.classifier import Classifier
from ro32.model.operating_point import Decision
from ro32.model.outcomes import OutcomeIndex
from ro32.run.engine import score_parts
from ro32.run.journal import Journal
from ro32.run.parts import PartFolder, RowCounts, write_part
from ro32.run.plan import Plan
from ro32.storage.files import identity_of


@dataclass(frozen=True, kw_only=True)
class Model:
    """All that scoring needs besides papers: what is shipped to each node once.

    Attributes:
        bundle: The bundle, whole.
        full: Whether every paper is scored by all views.
        decision: How scores become labels.
        scoring_digest: What the classifier that is made of this must have.
        threads: Calling threads of an actor.
    """

    bundle: Bundle
    full: bool
    decision: Decision
    scoring_digest: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class SavedPart:
    """A part that an actor scored and saved: its name in its folder, its counts, and the time that all threads took."""

    name: str
    counts: RowCounts
    thread_seconds: float


class Worker:
    """Scores parts, one after the other.

    Raises:
        BundleError: The bundle is not what it was when it was sent, or gives other scores here.
    """

    def __init__(self, model: Model) -> None:
        verify(model.bundle)
        self._threads = model.threads
        self._classifier = Classifier(model.bundle, full=model.full).deciding(model.decision)
        if self._classifier.scoring_digest != model.scoring_digest:
            raise BundleError("this node has another version of ro32 than the driver; install the same on all nodes")

    def score(self, plan: Plan, folder: PartFolder, previous: OutcomeIndex) -> SavedPart:
        """Score a part and save it.

        Args:
            plan: The part and its file alone, with columns and type of the ids.
            folder: Where the finished part is to be.
            previous: Outcomes that need no model.

        Raises:
            TryAgainError: The input is not what was planned, or changed meanwhile.
            InputDataError: It is damaged.
            InputMissingError: It is not there, or not on this node, or this node may not read it.
        """
        journal = Journal()
        check_same(plan)
        ((part, finished),) = score_parts(
            plan,
            plan.parts,
            self._classifier,
            previous,
            OutcomeIndex(),
            threads=self._threads,
            journal=journal,
            on_rows=lambda _: None,
        )
        check_same(plan)
        name = write_part(folder, part, finished)
        return SavedPart(name=name, counts=finished.counts, thread_seconds=journal.thread_seconds)


def verify(bundle: Bundle) -> None:
    """Check a bundle that came over the network against its digests.

    Raises:
        BundleError: A byte of it is another one.
    """
    manifest = bundle.manifest
    came = {MODEL: bundle.model, TOKENIZER: bundle.tokenizer, LINEAR: bundle.linear, CURVES: bundle.curves}
    altered = [name for name, content in came.items() if content and sha256(content) != manifest.files[name]]
    if sha256(manifest.to_bytes()) != bundle.digest or altered:
        raise BundleError(f"bundle {manifest.name}: was altered on its way to this node; run again")


def check_same(plan: Plan) -> None:
    """Check that an input file is the one that was planned.

    Raises:
        TryAgainError: It is another one, or not there.
        UnreachableError: A store failed.
    """
    for source in plan.sources:
        try:
            if isinstance(source.path, Path):  # by size and time: devices and inodes are a node's own
                same = identity_of(source.path)[2:] == source.identity[2:]
            else:
                same = source.path.is_unchanged()
        except OSError:
            same = False
        if not same:
            raise TryAgainError(
                f"{source.path} changed while it was read, or is not the same file on all nodes; run again when it is "
                "complete, on a file system that all nodes share"
            )
