"""A bundle without an encoder: made from a dump alone, and used wherever any other bundle is."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnxruntime as ort
import polars as pl
import pytest

import ro32
from ro32.cli.bundles import command as bundle_command
from ro32.cli.evaluate import command as eval_command
from ro32.cli.score import command as score_command
from ro32.errors import BundleError
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import LINEAR, MANIFEST, MODEL, Manifest, sha256
from ro32.model.classifier import Classifier
from ro32.model.publish import publish
from ro32.model.views import View
from ro32.refresh import refit
from tests.command_line import Invoke

HOLD_OUT = ("--hold-out", "0.4")
ROBOT = "A humanoid with teleoperation and a quadruped"


@pytest.fixture(scope="module")
def alone(dump_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "bundle"
    fitted, published = refit.refresh(
        None, [dump_path], folder, announce=lambda *_: lambda _: None, category="cs.RO", hold_out=0.4
    )
    assert published is not None
    assert "held-out papers" in fitted.table()
    return folder


@pytest.fixture
def few(dump: pl.DataFrame, tmp_path: Path) -> Path:
    """Three hundred papers, one of them without text."""
    papers = dump.tail(300).with_row_index()
    texts = [
        pl.when(pl.col("index") == 7).then(pl.lit(" \n")).otherwise(pl.col(n)).alias(n) for n in ("title", "abstract")
    ]
    papers.with_columns(texts).drop("index").write_parquet(tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


def test_it_says_that_it_has_no_encoder(alone: Path) -> None:
    manifest = Bundle.load(alone).manifest
    assert not manifest.has_encoder
    assert (manifest.max_length, manifest.view, manifest.cascade) == (0, "linear", None)
    assert MODEL not in manifest.files
    assert manifest.labels == ("other", "cs.RO")
    assert "parent" not in manifest.source["refresh"]
    assert manifest.quality["views"]["linear"]["average_precision"] > 0.7
    assert "There is no encoder" in (alone / "README.md").read_text()


def test_it_scores_without_a_session(
    alone: Path, few: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, invoke: Invoke
) -> None:
    monkeypatch.setattr(ort, "InferenceSession", None)
    labels = tmp_path / "labels.parquet"
    done = invoke(score_command, [few, "-o", labels, "--bundle", alone])
    assert done.code == 0, done.stderr
    found = pl.read_parquet(labels)
    assert found["error"].drop_nulls().to_list() == ["empty_text"]
    assert found["score"].null_count() == 1
    again = pl.read_parquet(few).select(ro32.score(classifier=Classifier.load(alone)))
    assert again["score"].equals(found["score"])
    full = invoke(score_command, [few, "-o", labels, "--bundle", alone, "--full"])
    assert "300 reused" in full.stderr  # there is no other way to score
    assert Classifier.load(alone).predict([ROBOT, "word1 word2", " "]) == ["cs.RO", "other", None]


def test_every_command_takes_it(alone: Path, few: Path, invoke: Invoke, tmp_path: Path) -> None:
    for words in (["verify"], ["show"], ["install", "--store", str(tmp_path / "store")]):
        done = invoke(bundle_command, [*words, alone])
        assert done.code == 0, done.stderr
    explained = invoke(score_command, [few, "-o", tmp_path / "l.parquet", "--bundle", alone, "--explain", "1"])
    assert "without it 0." in explained.stdout, explained.stderr
    target = invoke(score_command, [few, "-o", tmp_path / "l.parquet", "--bundle", alone, "--target-recall", "0.5"])
    assert "validated: precision" in target.stderr
    assert "cs.RO-linear" in invoke(eval_command, [few, "--bundle", alone]).stdout


def test_a_fresh_process_needs_no_package_of_training(alone: Path, few: Path, tmp_path: Path) -> None:
    words = ["-m", "ro32.cli.score", str(few), "-o", str(tmp_path / "labels.parquet"), "--bundle", str(alone)]
    done = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "transformers", "sklearn", "scipy"}
    assert pl.read_parquet(tmp_path / "labels.parquet").height == 300


def test_scores_of_another_linear_view_are_not_reused(
    alone: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Bundle.load(alone), Bundle.load(parent)
    changed = replace(one.manifest, files={**one.manifest.files, LINEAR: other.manifest.files[LINEAR]})
    digest = Classifier(one).scoring_digest
    assert Classifier(replace(one, manifest=changed, linear=other.linear)).scoring_digest != digest
    monkeypatch.setattr(ort, "__version__", "0")
    assert Classifier(one).scoring_digest == digest


def test_evaluation_takes_the_category_from_the_bundle(
    alone: Path, dump: pl.DataFrame, invoke: Invoke, tmp_path: Path
) -> None:
    renamed = replace(Bundle.load(alone).manifest, labels=("other", "cs.CL"), positive_label="cs.CL")
    bundle = _published(alone, renamed, tmp_path / "bundle")
    papers = dump.head(200).with_columns(pl.col("categories").str.replace("cs.RO", "cs.CL"))
    papers.write_parquet(tmp_path / "papers.parquet")
    done = invoke(eval_command, [tmp_path / "papers.parquet", "--bundle", bundle])
    assert "listed in cs.CL" in done.stdout, done.stderr


def test_it_is_refreshed_like_any_other(
    alone: Path, parent: Path, dump_path: Path, invoke: Invoke, tmp_path: Path
) -> None:
    same = invoke(bundle_command, ["refresh", dump_path, "--bundle", alone, "-o", tmp_path / "same", *HOLD_OUT])
    assert same.code == 0, same.stderr
    assert "nothing was published" in same.stderr
    old = Bundle.load(parent)
    assert old.linear is not None
    view = View(intercept=0.0, encoder=0.0, linear=1.0, threshold=0.3)
    manifest = replace(Bundle.load(alone).manifest, views={"linear": view}, threshold=0.3)
    stale = _published(alone, manifest, tmp_path / "stale", linear=old.linear)
    done = invoke(bundle_command, ["refresh", dump_path, "--bundle", stale, "-o", tmp_path / "new", *HOLD_OUT])
    assert done.code == 0, done.stderr
    new = Bundle.load(tmp_path / "new").manifest
    assert (new.has_encoder, new.source["refresh"]["parent"]) == (False, Bundle.load(stale).digest)


def test_a_first_bundle_needs_a_category_and_no_other_bundle(dump_path: Path, invoke: Invoke, tmp_path: Path) -> None:
    words = ["refresh", str(dump_path), "--new", "-o", str(tmp_path / "new")]
    assert (invoke(bundle_command, words).code, list(tmp_path.iterdir())) == (2, [])
    both = invoke(bundle_command, [*words, "--category", "cs.RO", "--bundle", "cs.RO"])
    assert (both.code, "give one of them" in both.stderr) == (2, True)
    unknown = invoke(bundle_command, [*words, "--category", "cs.XX"])
    assert (unknown.code, "no paper is listed in cs.XX" in unknown.stderr) == (65, True)


def test_what_it_says_and_what_it_holds_must_agree(alone: Path, parent: Path, tmp_path: Path) -> None:
    manifest = Bundle.load(alone).manifest
    with pytest.raises(BundleError, match="scored by one"):
        replace(manifest, views={"linear": View(intercept=0.0, encoder=1.0, linear=0.0, threshold=manifest.threshold)})
    with pytest.raises(BundleError, match=r"lists a model\.onnx"):
        _published(alone, manifest, tmp_path / "both", model=(parent / MODEL).read_bytes())
    with pytest.raises(BundleError, match="it has no encoder"):
        Classifier.load(alone).logits([1])


def _published(folder: Path, manifest: Manifest, target: Path, **others: bytes) -> Path:
    """Publish the files of a bundle, some of them others, with another manifest."""
    names = {"linear": LINEAR, "model": MODEL}
    files = {name: (folder / name).read_bytes() for name in Bundle.load(folder).manifest.files}
    files |= {names[name]: content for name, content in others.items()}
    digests = {name: sha256(content) for name, content in files.items()}
    publish(target, {**files, MANIFEST: replace(manifest, files=digests).to_bytes()}, overwrite=False)
    return target
