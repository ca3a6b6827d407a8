"""ro32 as a library: the same scores as the command, whatever the form in which papers are given."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ro32
from ro32.errors import BundleError, OutputError, UsageError
from ro32.model.classifier import Classifier
from ro32.model.installed import default_store, install
from ro32.model.origins import read_files

TITLE, ABSTRACT = "Grasping\n  with a robot arm", "  We control a manipulator.\nIt works."


def test_scores_are_those_of_the_command(classifier: Classifier, papers_path: Path, tiny_labels: Path) -> None:
    papers, labels = pl.read_parquet(papers_path).head(200), pl.read_parquet(tiny_labels).head(200)
    found = papers.with_columns(ro32.score("title", "abstract", classifier=classifier))
    assert found["score"].equals(labels["score"])
    predicted = classifier.predict(titles=papers["title"].to_list(), abstracts=papers["abstract"].to_list())
    assert predicted == labels["label"].to_list()


def test_a_lazy_query_scores_in_pieces(classifier: Classifier, papers: pl.DataFrame) -> None:
    expression = ro32.score(pl.col("title").str.to_uppercase(), "abstract", classifier=classifier, threads=1)
    eager = papers.select(expression)
    assert papers.lazy().select(expression).collect(engine="streaming").equals(eager)
    assert eager.schema == {"score": pl.Float32}


def test_a_literal_is_the_text_of_every_paper(classifier: Classifier) -> None:
    frame = pl.DataFrame({"title": [TITLE, "Stars"]})
    found = frame.lazy().select(ro32.score("title", pl.lit(ABSTRACT), classifier=classifier)).collect()
    expected = classifier.predict_proba(titles=[TITLE, "Stars"], abstracts=[ABSTRACT] * 2)
    assert found["score"].to_list() == expected[:, classifier.manifest.positive_index].tolist()
    assert frame.select(ro32.score("title", pl.lit(None), classifier=classifier))["score"].null_count() == 0


@pytest.mark.parametrize("as_given", [list, tuple, pl.Series, pl.Series.to_numpy])
def test_papers_are_given_in_any_sequence(as_given: Callable[[pl.Series], Any], classifier: Classifier) -> None:
    texts = pl.Series([TITLE, "Stars"])
    given = as_given(texts)
    expected = classifier.predict_proba(texts.to_list())
    assert classifier.predict_proba(titles=given, abstracts=given).shape == expected.shape
    assert np.array_equal(classifier.predict_proba(given), expected)


def test_a_paper_without_text_has_no_score(classifier: Classifier) -> None:
    frame = pl.DataFrame({"title": [" ", None, TITLE], "abstract": [None, "", ABSTRACT]})
    assert frame.select(ro32.score(classifier=classifier))["score"].is_null().to_list() == [True, True, False]
    probabilities = classifier.predict_proba(titles=frame["title"].to_list(), abstracts=frame["abstract"].to_list())
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (3, 2)
    assert np.isnan(probabilities).all(axis=1).tolist() == [True, True, False]
    assert classifier.predict(["", TITLE])[0] is None


def test_a_frame_without_rows_has_scores_without_rows(classifier: Classifier) -> None:
    empty = pl.DataFrame(schema={"title": pl.String, "abstract": pl.String})
    assert empty.select(ro32.score(classifier=classifier)).schema == {"score": pl.Float32}
    assert classifier.predict_proba([]).shape == (0, 2)


def test_a_text_is_its_title_and_its_abstract(classifier: Classifier) -> None:
    apart = classifier.predict_proba(titles=["Grasping with a robot arm"], abstracts=[ABSTRACT])
    assert np.array_equal(classifier.predict_proba([f"\nGrasping  with a robot arm \n{ABSTRACT}"]), apart)
    assert np.array_equal(classifier.predict_proba(titles=[TITLE], abstracts=[ABSTRACT]), apart)
    assert not np.array_equal(classifier.predict_proba([ABSTRACT]), apart)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"titles": ["a"]},
        {"abstracts": ["a"]},
        {"texts": "a paper"},
        {"titles": "a", "abstracts": "b"},
        {"texts": ["a"], "titles": ["a"], "abstracts": ["b"]},
        {"titles": ["a", "b"], "abstracts": ["b"]},
        {"texts": [float("nan")]},
        {"titles": ["a"], "abstracts": [float("nan")]},
        {"texts": ["half of a character: \ud800"]},
    ],
)
def test_a_form_that_is_none_is_refused(classifier: Classifier, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        classifier.predict_proba(**given)


def test_paths_are_texts_or_paths(classifier: Classifier, source: Path, tmp_path: Path) -> None:
    forms: list[str | Path | list[str | Path]] = [source, str(source), [source], [str(source)]]
    for number, inputs in enumerate(forms):
        target = tmp_path / f"{number}.parquet"
        assert ro32.score_file(inputs, str(target), classifier=classifier).counts.rows == 5
        assert target.exists()


def test_settings_take_texts(classifier: Classifier, source: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").touch()
    labels: Any = str(tmp_path / "labels.parquet")
    skip: Any = "skip-file"
    inputs = [source, tmp_path / "bad.parquet"]
    ro32.score_file(inputs, labels, classifier=classifier, settings=ro32.Settings(on_error=skip))
    settings = ro32.Settings(reuse=labels)
    assert ro32.score_file(source, tmp_path / "again", classifier=classifier, settings=settings).counts.reused == 5
    wrong: Any = "skip"
    with pytest.raises(UsageError, match="expected stop or skip-file"):
        ro32.Settings(on_error=wrong)


def test_a_folder_is_no_labels_file(classifier: Classifier, source: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="call score_folder"):
        ro32.score_file(source, f"{tmp_path}/labels/", classifier=classifier)


def test_an_installed_bundle_is_loaded_by_its_name(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    install(read_files(str(tiny_bundle)), default_store(), name="mine", overwrite=False)
    assert ro32.Classifier.load("mine").digest == ro32.Classifier.load(tiny_bundle).digest
    with pytest.raises(BundleError, match="did you mean 'mine'"):
        ro32.Classifier.load("mime")


def test_the_package_lists_what_it_offers() -> None:
    assert set(ro32.__all__) <= set(dir(ro32))
    assert ro32.__version__ == version("ro32")
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        _ = ro32.scores


def test_importing_the_package_loads_nothing_yet() -> None:
    """Neither arrays nor frames nor a model runtime."""
    statement = "import sys, ro32; print({'numpy', 'polars', 'pyarrow', 'onnxruntime'} & {*sys.modules})"
    assert (
        subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )


def test_types_are_published() -> None:
    assert (Path(ro32.__file__).parent / "py.typed").exists()
