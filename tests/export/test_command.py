"""`python -m export` as a user meets it: what it prints, and its exit codes."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from export.__main__ import command
from ro32.evaluation.checkpoint import Checkpoint
from ro32.model.bundle import Bundle
from tests.command_line import Invoke


def test_a_bundle_appears_and_the_findings_are_printed(
    invoke: Invoke, checkpoint: Checkpoint, papers_path: Path, tmp_path: Path
) -> None:
    budget = ["--verify-papers", "100", "--measure-papers", "500", "--threads", "1"]
    outcome = invoke(
        command,
        [checkpoint.folder, "-o", tmp_path / "bundle", "--papers", papers_path, "--name", "tiny", *budget],
    )
    assert outcome.code == 0, outcome.stderr
    assert "fp32 against PyTorch: largest logit difference" in outcome.stdout
    assert "int8 against fp32: other labels" in outcome.stdout
    assert "int8 on 500 papers" in outcome.stdout
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.manifest.name == "tiny"
    assert bundle.digest in outcome.stderr


def without_categories(papers: Path, folder: Path) -> Path:
    path = folder / "papers.parquet"
    pl.read_parquet(papers).drop("categories").write_parquet(path)
    return path


def without_positives(papers: Path, folder: Path) -> Path:
    path = folder / "papers.parquet"
    pl.read_parquet(papers).filter(~pl.col("categories").str.contains("cs.RO", literal=True)).write_parquet(path)
    return path


def without_abstracts(_papers: Path, folder: Path) -> Path:
    path = folder / "papers.csv"
    path.write_text("id,title\n", encoding="utf-8")
    return path


def missing(_papers: Path, folder: Path) -> Path:
    return folder / "nowhere.parquet"


@pytest.mark.parametrize(
    ("make_papers", "code", "message"),
    [
        (without_categories, 65, "categories"),
        (without_positives, 65, "only one kind"),
        (without_abstracts, 65, "no column abstract"),
        (missing, 66, "cannot be read"),
    ],
)
def test_papers_that_cannot_be_used(
    invoke: Invoke,
    checkpoint: Checkpoint,
    papers_path: Path,
    tmp_path: Path,
    make_papers: object,
    code: int,
    message: str,
) -> None:
    assert callable(make_papers)
    papers = make_papers(papers_path, tmp_path)
    outcome = invoke(command, [checkpoint.folder, "-o", tmp_path / "bundle", "--papers", papers])
    assert (outcome.code, outcome.stdout) == (code, "")
    assert message in outcome.stderr
    assert not (tmp_path / "bundle").exists()


def test_a_checkpoint_that_is_not_there(invoke: Invoke, papers_path: Path, tmp_path: Path) -> None:
    outcome = invoke(command, [tmp_path / "nowhere", "-o", tmp_path / "bundle", "--papers", papers_path])
    assert outcome.code == 78
    assert "ro32-train" in outcome.stderr


@pytest.mark.parametrize("args", [["-o", "there"], ["-o", "there", "--overwrite"], ["-o", "nowhere/bundle"]])
def test_a_place_that_a_bundle_cannot_take(
    invoke: Invoke,
    checkpoint: Checkpoint,
    papers_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "precious.txt").write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    outcome = invoke(command, [checkpoint.folder, "--papers", papers_path, *args])
    assert outcome.code == 73
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there" / "precious.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "args",
    [
        ["--category", "math.AG"],
        ["--labels", "other"],
        ["--labels", "cs.RO,cs.RO"],
        ["--verify-papers", "0"],
        ["--threads", "0"],
        ["--variant", "int4"],
    ],
)
def test_wrong_usage(
    invoke: Invoke, checkpoint: Checkpoint, papers_path: Path, tmp_path: Path, args: list[str]
) -> None:
    outcome = invoke(command, [checkpoint.folder, "-o", tmp_path / "bundle", "--papers", papers_path, *args])
    assert outcome.code == 2
    assert args[0] in outcome.stderr


@pytest.mark.parametrize("package", ["onnx", "optimum", "torch", "transformers"])
@pytest.mark.parametrize("command", ["export", "export.certify"])
def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it(package: str, command: str) -> None:
    program = (
        f"import runpy, sys; sys.modules[{package!r}] = None; "
        f"sys.argv = ['export']; runpy.run_module({command!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"export: this needs the package {package}; run: pip install 'ro32[export]'\n"


def test_papers_without_rows_are_refused(
    invoke: Invoke, checkpoint: Checkpoint, papers_path: Path, tmp_path: Path
) -> None:
    pl.read_parquet(papers_path).head(0).write_parquet(tmp_path / "papers.parquet")
    outcome = invoke(command, [checkpoint.folder, "-o", tmp_path / "b", "--papers", tmp_path / "papers.parquet"])
    assert outcome.code == 65
    assert "expected papers, found no row" in outcome.stderr


def test_scores_are_not_written_over_weights_or_bundle(
    invoke: Invoke, checkpoint: Checkpoint, papers_path: Path, tmp_path: Path
) -> None:
    args: list[str | Path] = [checkpoint.folder, "-o", tmp_path / "bundle", "--papers", papers_path, "--scores-out"]
    outcome = invoke(command, [*args, checkpoint.folder / "model.safetensors"])
    assert outcome.code == 73
    assert "is the input file" in outcome.stderr
    outcome = invoke(command, [*args, tmp_path / "bundle"])
    assert outcome.code == 2
    assert "is the bundle's folder" in outcome.stderr
