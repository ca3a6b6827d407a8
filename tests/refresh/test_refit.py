"""The refresh of a bundle: better than its parent where words changed, whole, and otherwise not there."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ro32.cli.bundles import command
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, CASCADE, LINEAR, MANIFEST, MODEL, TOKENIZER, Manifest, sha256
from ro32.model.classifier import Classifier
from ro32.model.linear_view import LinearModel
from ro32.model.publish import publish
from ro32.model.views import ViewName
from ro32.refresh import calibrate, refit
from ro32.refresh.certificate import Row
from ro32.refresh.certified import with_cascade
from ro32.refresh.combine import ViewScores
from ro32.refresh.gather import gather
from ro32.refresh.renewed import fit_views, renew
from ro32.train.dump import Dump
from tests.command_line import Invoke

HOLD_OUT = ("--hold-out", "0.4")


@pytest.fixture(scope="module")
def fresh(parent: Path, dump_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What became of the parent, with a share of changed labels that so few papers can show."""
    folder = tmp_path_factory.mktemp("fresh") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "MAX_SHARE", 0.01)
        _, published = refit.refresh(parent, [dump_path], folder, announce=lambda *_: lambda _: None, hold_out=0.4)
    assert published is not None
    assert published.digest == Bundle.load(folder).digest
    return folder


def test_a_refreshed_bundle_knows_the_new_words(fresh: Path, parent: Path) -> None:
    texts = ["A humanoid with teleoperation and a quadruped", "word1 word2 word3"]
    old, new = (Classifier.load(folder).predict(texts) for folder in (parent, fresh))
    assert old[0] == "other"
    assert new == ["cs.RO", "other"]


def test_it_is_the_parents_encoder_and_says_where_it_comes_from(fresh: Path, parent: Path, dump_path: Path) -> None:
    old, new = Bundle.load(parent), Bundle.load(fresh)
    assert (new.model, new.tokenizer) == (old.model, old.tokenizer)
    assert new.linear != old.linear
    lineage = new.manifest.source["refresh"]
    assert lineage["parent"] == old.digest
    assert lineage["ancestors"] == []
    assert lineage["dumps"] == [Dump.open(dump_path).digest]
    assert lineage["since"] == "2024-01"
    assert set(new.manifest.views) == {"combined", "encoder", "linear"}
    cascade = new.manifest.cascade
    assert cascade is not None
    assert cascade.certificate.bound <= 0.01
    quality = new.manifest.quality
    assert quality["cascade"]["average_precision"] > quality["parent"]["average_precision"]
    assert set(pl.read_csv(fresh / "curves.csv")["view"]) == {"combined", "encoder", "linear"}


def test_the_card_keeps_what_still_holds(fresh: Path, parent: Path) -> None:
    card = (fresh / "README.md").read_text()
    assert card.startswith("# Card\n\n![loss](loss.png)\n\n## Views\n\nA paper is scored twice")
    assert "Of the parent." not in card
    assert Bundle.load(parent).digest[:12] in card
    assert card.count("## Cascade") == 1
    assert {path.name for path in fresh.glob("*.png")} == {"loss.png"}


def test_the_counts_are_csv_whatever_the_ids_hold(fresh: Path) -> None:
    bundle = Bundle.load(fresh)
    assert bundle.manifest.cascade is not None
    row = Row("paper", 'a,"b"\nc', 1, 1, 1)
    kept, cascade = {LINEAR: bundle.linear or b""}, bundle.manifest.cascade
    files = with_cascade(bundle.manifest, kept, cascade, rows=[row], curve=None)
    assert pl.read_csv(files[CASCADE]).rows() == [tuple(row)]


def test_a_bundle_of_another_tool_is_taken_as_it_is(fresh: Path, tmp_path: Path) -> None:
    """Its card is no UTF-8, and what it says of its source is in no form of ours."""
    bundle, card = Bundle.load(fresh), "# Größe\n\n## Views\n\nOf the parent.\n".encode("latin-1")
    (tmp_path / CARD).write_bytes(card)
    files = {MODEL: bundle.model, TOKENIZER: bundle.tokenizer, CARD: card}
    digests = {name: sha256(content) for name, content in files.items()}
    manifest = replace(bundle.manifest, views={}, view=None, cascade=None, source={"refresh": 3}, files=digests)
    positive = np.arange(200) % 4 == 0
    scores = ViewScores(positive=positive, encoder=positive - 0.5, linear=positive - 0.5)
    fitted = fit_views(LinearModel.from_bytes(bundle.linear or b""), scores, list(ViewName))
    origin = {"date": "2024-11-30", "since": "2024-01", "training_papers": 1}
    new = renew(tmp_path, replace(bundle, manifest=manifest), fitted, category="cs.RO", origin=origin)
    assert new[CARD].startswith("# Größe\n\n## Views\n\nA paper is scored twice".encode("latin-1"))
    assert Manifest.from_bytes(new[MANIFEST]).source["refresh"]["ancestors"] == []


def test_show_tells_the_lineage(fresh: Path, parent: Path, invoke: Invoke) -> None:
    shown = invoke(command, ["show", fresh])
    assert shown.code == 0, shown.stderr
    assert f"source.refresh.parent{' ' * 23}{Bundle.load(parent).digest}" in shown.stdout
    assert "source.refresh.dumps" in shown.stdout
    assert "source.refresh.date" in shown.stdout


def test_nothing_is_published_that_is_no_better(fresh: Path, dump_path: Path, invoke: Invoke, tmp_path: Path) -> None:
    before = sorted(path.read_bytes() for path in fresh.iterdir())
    done = invoke(command, ["refresh", dump_path, "--bundle", fresh, "-o", tmp_path / "again", *HOLD_OUT])
    assert done.code == 0, done.stderr
    assert "nothing was published" in done.stderr
    assert "held-out papers" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert sorted(path.read_bytes() for path in fresh.iterdir()) == before


def test_ancestors_are_kept_and_few_papers_certify_nothing(
    parent: Path, fresh: Path, dump_path: Path, invoke: Invoke, tmp_path: Path
) -> None:
    """A bundle with a lineage and a stale linear view is refreshed once more."""
    old, stale = Bundle.load(fresh), tmp_path / "stale"
    files = {name: (parent / name).read_bytes() for name in Bundle.load(parent).manifest.files}
    publish(stale, {**files, "bundle.json": _as_descendant(Bundle.load(parent), old)}, overwrite=False)
    negatives = tmp_path / "negatives.parquet"
    pl.DataFrame({"id": ["W1"], "title": ["word1 word2"], "abstract": [None]}).write_parquet(negatives)
    more = ("--negatives", negatives, *HOLD_OUT)
    done = invoke(command, ["refresh", dump_path, "--bundle", stale, "-o", tmp_path / "again", *more])
    assert done.code == 0, done.stderr
    assert "the bundle will have no cascade: " in done.stderr
    again = Bundle.load(tmp_path / "again").manifest
    assert again.cascade is None
    assert again.source["refresh"]["parent"] == Bundle.load(stale).digest
    assert again.source["refresh"]["ancestors"] == [Bundle.load(parent).digest]
    assert again.source["refresh"]["negatives"] == Dump.open(negatives, labelled=False).digest
    assert again.source["refresh"]["training_papers"] == old.manifest.source["refresh"]["training_papers"] + 1


def _as_descendant(plain: Bundle, refreshed: Bundle) -> bytes:
    return replace(plain.manifest, source=refreshed.manifest.source).to_bytes()


def test_what_cannot_be_refreshed_is_refused_before_any_work(
    parent: Path, dump: pl.DataFrame, dump_path: Path, invoke: Invoke, tmp_path: Path
) -> None:
    def code(*args: str | Path) -> tuple[int, str]:
        done = invoke(command, ["refresh", *args, "--bundle", parent, "-o", tmp_path / "new"])
        assert not (tmp_path / "new").exists()
        return done.code, done.stderr

    dump.head(300).write_parquet(tmp_path / "few.parquet")
    assert code(tmp_path / "few.parquet")[0] == 65
    assert "at least 50 papers of cs.RO" in code(tmp_path / "few.parquet")[1]
    dump.with_columns(categories=pl.lit("math.AG")).write_parquet(tmp_path / "others.parquet")
    assert "no paper is listed in cs.RO" in code(tmp_path / "others.parquet")[1]
    dump.drop("categories").write_parquet(tmp_path / "none.parquet")
    assert "no column categories" in code(tmp_path / "none.parquet")[1]
    assert code(dump_path, "--category", "cs.CL")[0] == 2
    assert code(dump_path, "--since", "soon")[0] == 2
    dump.with_columns(title=pl.lit(" "), abstract=pl.lit(None)).write_parquet(tmp_path / "empty.parquet")
    assert code(tmp_path / "empty.parquet", *HOLD_OUT)[0] == 65
    assert "since 2024-01 with a text, found 0 of 0" in code(tmp_path / "empty.parquet", *HOLD_OUT)[1]
    assert code(tmp_path / "missing.parquet")[0] == 66
    (tmp_path / "there").mkdir()
    assert invoke(command, ["refresh", dump_path, "--bundle", parent, "-o", tmp_path / "there"]).code == 73
    same = invoke(command, ["refresh", dump_path, "--bundle", parent, "-o", parent, "--overwrite"])
    assert (same.code, "name another folder" in same.stderr) == (2, True)


@pytest.mark.parametrize("change", [pl.DataFrame.reverse, lambda frame: frame.head(100)])
def test_a_dump_that_changes_between_two_readings_is_refused(
    dump: pl.DataFrame,
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pl.DataFrame], pl.DataFrame],
) -> None:
    """With as many rows as before, the truth of some papers would be taken for that of others."""
    path = tmp_path / "papers.parquet"

    def gather_others(*args: Any, **options: Any) -> Any:
        path.unlink()
        change(dump).write_parquet(path)
        return gather(*args, **options)

    dump.write_parquet(path)
    monkeypatch.setattr(refit, "gather", gather_others)
    words: list[str | Path] = ["refresh", path, "--new", "--category", "cs.RO", "-o", tmp_path / "new", *HOLD_OUT]
    done = invoke(command, words)
    assert (done.code, done.stderr.splitlines()[-1]) == (
        75,
        f"ro32-bundle: {path} changed while it was read; run again when it is complete",
    )
    assert not (tmp_path / "new").exists()


def test_no_package_of_training_an_encoder_is_imported() -> None:
    """SciPy is all that the extra installs."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import ro32.refresh.refit"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {"ro32", "scipy"} <= imported
    assert not imported & {"torch", "transformers", "sklearn", "optimum", "onnx", "matplotlib", "huggingface_hub"}


def test_a_bundle_of_an_encoder_alone_gets_views(
    tiny_bundle: Path, dump_path: Path, invoke: Invoke, tmp_path: Path
) -> None:
    done = invoke(command, ["refresh", dump_path, "--bundle", tiny_bundle, "-o", tmp_path / "new", *HOLD_OUT, "-q"])
    assert (done.code, done.stderr) == (0, "")
    assert Bundle.load(tmp_path / "new").manifest.view == "combined"


def test_a_run_that_is_killed_leaves_nothing(parent: Path, dump_path: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in parent.iterdir()}
    words: list[str | Path] = ["refresh", dump_path, "--bundle", parent, "-o", tmp_path / "new", *HOLD_OUT]
    with subprocess.Popen(
        [sys.executable, "-m", "ro32.cli.bundles", *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "by the encoder" in line:
                process.kill()
        assert process.wait() == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    assert {path.name: path.read_bytes() for path in parent.iterdir()} == before
