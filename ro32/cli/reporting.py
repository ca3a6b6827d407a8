"""Writes the report and the metrics of a run, however it ends."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ro32.cli.process import code_for, reason_of
from ro32.cli.target import check_target
from ro32.errors import InputDataError, InputMissingError, OutputError, Ro32Error, UsageError
from ro32.monitor.report import make_report
from ro32.run.inputs import find_files
from ro32.run.journal import Journal
from ro32.run.prepare import resolve_output
from ro32.storage import durable
from ro32.storage.local_parts import parts_folder
from ro32.storage.lock import lock_path
from ro32.storage.names import HIDDEN, is_data
from ro32.storage.urls import ObjectUrl


@dataclass(frozen=True, kw_only=True)
class Reports:
    """Where reports on a labels file go: as JSON, and as metrics, if they are wanted."""

    target: Path | ObjectUrl
    report: Path | None
    metrics_file: Path | None

    @property
    def _target(self) -> Path | ObjectUrl:
        """Where the labels really are. `Path.resolve` would raise on a link to itself; the run reports that."""
        return Path(os.path.realpath(self.target)) if isinstance(self.target, Path) else self.target

    def check(self, papers: Sequence[str], others: Sequence[Path | ObjectUrl | None]) -> None:
        """Refuse, before any work is done, what could not be written at its end or would destroy what is read."""
        if self.metrics_file is not None:
            if self.metrics_file.suffix != ".prom":
                raise UsageError(
                    f"--metrics-file {self.metrics_file}: expected a name that ends in .prom; Prometheus' collector "
                    "ignores others"
                )
            if find_spec("prometheus_client") is None:
                raise UsageError("--metrics-file needs the package prometheus-client; run: pip install 'ro32[metrics]'")
        read = [path for path in others if isinstance(path, Path)]
        for text in papers:
            with suppress(UsageError, InputMissingError, InputDataError):  # the plan of the run refuses what is wrong
                read += find_files([text])
        reports = [check_target(path, read, papers) for path in (self.report, self.metrics_file) if path is not None]
        if isinstance(self.target, Path) and os.path.isfile(self.target):  # noqa: PTH113 - never an error
            resolve_output(self.target, read)
        written = [*reports, self._target]
        if len(set(written)) < len(written):
            names = ", ".join(map(str, written))
            raise OutputError(f"labels, report and metrics must be different files, found {names}; name others")
        target = self._target
        own = {lock_path(target), parts_folder(target)} if isinstance(target, Path) and target.name else set[Path]()
        for path in reports:
            if own & {path, *path.parents}:
                raise OutputError(f"{path} is a name that the run itself uses; name another file")
            if self._target in path.parents and (is_data(path.name) or path.name.startswith(HIDDEN)):
                raise OutputError(f"{path} has the name of labels or of their manifest; name a file elsewhere")

    @contextmanager
    def written(self, journal: Journal) -> Iterator[None]:
        """Write the reports when the block ends, and let go on what ended it.

        A report that cannot be written is a warning: labels that are published are not put in doubt by it.
        """
        try:
            yield
        except BaseException as raised:
            error = reason_of(raised)
            self._write(journal, code_for(error), str(error).replace(journal.spool, ""))
            raise
        self._write(journal, 0, None)

    def _write(self, journal: Journal, exit_code: int, error: str | None) -> None:
        if self.report is None and self.metrics_file is None:
            return
        report = make_report(journal, self._target, exit_code=exit_code, error=error)
        try:
            if self.report is not None:
                durable.write(self.report.resolve(), f"{json.dumps(report, indent=2)}\n".encode())
            if self.metrics_file is not None:
                from ro32.monitor.prometheus import write_metrics  # noqa: PLC0415 - its package is there only where it is asked for

                write_metrics(report, self.metrics_file.resolve())
        except (OSError, Ro32Error) as problem:
            journal.warn("no_report", f"the report was not written: {problem}")
