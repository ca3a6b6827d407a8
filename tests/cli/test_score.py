"""The walk: same rows, same order, and scores that depend on nothing but the paper."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ro32.data.labels import read_provenance
from ro32.errors import Interrupted
from ro32.model.classifier import Classifier
from ro32.run import plan
from ro32.run.job import Settings
from ro32.run.walk import Progress, score_file
from ro32.storage import files
from ro32.storage.files import Identity, identity_of


def labels_of(
    frame: pl.DataFrame, folder: Path, classifier: Classifier, *, threads: int = 2, part_rows: int = 10_000
) -> pl.DataFrame:
    frame.write_parquet(folder / "papers.parquet")
    score_file(
        [str(folder / "papers.parquet")],
        folder / "labels.parquet",
        classifier=classifier,
        settings=Settings(threads=threads, part_rows=part_rows, no_reuse=True, max_unscored=1),
    )
    return pl.read_parquet(folder / "labels.parquet")


def test_labels_keep_the_rows_and_their_order(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    labels = labels_of(papers, tmp_path, classifier)
    assert labels["id"].equals(papers["id"])
    assert labels.schema == pl.Schema(
        {
            "id": pl.String,
            "label": pl.String,
            "score": pl.Float32,
            "error": pl.String,
            "content_hash": pl.Binary,
            "screened": pl.Boolean,
        }
    )
    assert not labels["screened"].any()
    assert labels["score"].is_between(0, 1).all()
    assert labels["error"].null_count() == labels.height
    above = labels["score"].cast(pl.Float64) >= classifier.manifest.threshold
    assert labels.select(pl.when(above).then(pl.lit("cs.RO")).otherwise(pl.lit("other")).alias("label"))[
        "label"
    ].equals(labels["label"])
    assert 0 < above.sum() < labels.height, "the tiny model must tell some papers apart, or this test says nothing"


@pytest.mark.drawn(2)
@pytest.mark.parametrize(("threads", "part_rows"), [(1, 1), (1, 100), (2, 7), (2, 20_000), (5, 64)])
def test_scores_depend_on_the_paper_alone(
    papers: pl.DataFrame, tmp_path: Path, classifier: Classifier, threads: int, part_rows: int
) -> None:
    expected = labels_of(papers, tmp_path, classifier, threads=1).sort("id")
    shuffled = papers.sample(fraction=1, shuffle=True, seed=threads)
    found = labels_of(shuffled, tmp_path, classifier, threads=threads, part_rows=part_rows)
    assert found["id"].equals(shuffled["id"])
    assert found.sort("id").equals(expected)  # bit for bit


text = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.sampled_from(["", " ", "\n\t", "\x00", "[SEP]", "[MASK] [CLS]", "robot " * 3000, "é" * 500, "机器人", "\ufffd"]),
)

ids = text.filter(lambda value: value is None or len(value) <= 1000)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(ids, text, text), max_size=12), part_rows=st.integers(1, 13))
def test_any_text_gives_aligned_rows(
    rows: list[tuple[str | None, ...]], part_rows: int, tmp_path: Path, classifier: Classifier
) -> None:
    frame = pl.DataFrame(rows, schema={"id": pl.String, "title": pl.String, "abstract": pl.String}, orient="row")
    labels = labels_of(frame, tmp_path, classifier, part_rows=part_rows)
    assert labels["id"].equals(frame["id"])
    scored = labels["score"].is_not_null()
    assert (labels["error"].is_null() == scored).all()
    assert (labels["label"].is_not_null() == scored).all()
    alone = [labels_of(frame[row], tmp_path, classifier)["score"].item() for row in range(frame.height)]
    assert labels["score"].to_list() == alone


@pytest.mark.parametrize("value", [None, "", " \n ", "\x00\x01", "\u200b"])
def test_a_row_without_text_keeps_its_place(
    papers: pl.DataFrame, tmp_path: Path, classifier: Classifier, value: str | None
) -> None:
    blank = papers.head(3).with_columns(
        title=pl.Series([papers["title"][0], value, papers["title"][2]]),
        abstract=pl.Series([papers["abstract"][0], value, papers["abstract"][2]]),
    )
    labels = labels_of(blank, tmp_path, classifier)
    assert labels["error"].to_list() == [None, "empty_text", None]
    assert labels["score"].is_null().to_list() == [False, True, False]


def test_one_of_title_and_abstract_is_enough(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    frame = papers.head(2).with_columns(
        title=pl.Series([None, papers["title"][1]]), abstract=pl.Series([papers["abstract"][0], None])
    )
    assert labels_of(frame, tmp_path, classifier)["score"].null_count() == 0


def test_white_space_and_hard_wraps_change_nothing(
    papers: pl.DataFrame, tmp_path: Path, classifier: Classifier
) -> None:
    wrapped = papers.with_columns(
        pl.col("title").str.replace_all(" ", "\n  "), abstract="  " + pl.col("abstract").str.replace_all(" ", " \r\n")
    )
    assert labels_of(wrapped, tmp_path, classifier).equals(labels_of(papers, tmp_path, classifier))


def test_a_ten_megabyte_abstract_is_a_paper(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    frame = papers.head(1).with_columns(abstract=pl.lit("a robot arm grasps " * 550_000))
    assert frame["abstract"].str.len_bytes().item() > 10_000_000
    assert labels_of(frame, tmp_path, classifier)["error"].item() is None


@pytest.mark.parametrize("rows", [0, 1])
def test_the_smallest_inputs(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier, rows: int) -> None:
    labels = labels_of(papers.head(rows), tmp_path, classifier)
    assert labels.height == rows
    assert labels.columns == ["id", "label", "score", "error", "content_hash", "screened"]


def test_duplicate_ids_are_kept(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    frame = pl.concat([papers.head(5), papers.head(5)])
    labels = labels_of(frame, tmp_path, classifier)
    assert labels["id"].equals(frame["id"])
    assert labels.head(5).equals(labels.tail(5))


@pytest.mark.parametrize(
    "id_type", [pa.string(), pa.large_string(), pa.int64(), pa.uint32(), pa.dictionary(pa.int32(), pa.string())]
)
@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_ids_pass_through_in_their_own_type(
    papers: pl.DataFrame, tmp_path: Path, classifier: Classifier, id_type: pa.DataType, text_type: pa.DataType
) -> None:
    ids = list(range(20)) if pa.types.is_integer(id_type) else papers["id"].head(20).to_list()
    columns = {name: papers[name].head(20).to_list() for name in ("title", "abstract")}
    table = pa.table(
        {"id": pa.array(ids).cast(id_type)}
        | {name: pa.array(values).cast(text_type) for name, values in columns.items()}
    )
    pq.write_table(table, tmp_path / "papers.parquet")
    score_file([str(tmp_path / "papers.parquet")], tmp_path / "labels.parquet", classifier=classifier)
    labels = pq.read_table(tmp_path / "labels.parquet")
    assert labels.schema.field("id").type == id_type
    assert labels.column("id").to_pylist() == ids
    assert labels.column("score").null_count == 0


def test_several_files_are_one_input_sorted_by_name(
    papers: pl.DataFrame, tmp_path: Path, classifier: Classifier
) -> None:
    expected = labels_of(papers, tmp_path, classifier)
    folder = tmp_path / "dump [2026]"
    folder.mkdir()
    for number, start in ((2, 200), (0, 0), (1, 100)):
        papers.slice(start, 100).write_parquet(folder / f"papers-{number}.parquet")
    for inputs in ([str(folder)], [str(folder / "papers-[012].parquet").replace("[2026]", "[[]2026[]]")]):
        score_file(inputs, tmp_path / "labels.parquet", classifier=classifier, settings=Settings(part_rows=30))
        assert pl.read_parquet(tmp_path / "labels.parquet").equals(expected)


def test_hidden_files_and_folders_are_no_input(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    """What lies in them is a left-over of a run, ours or another's."""
    for name in (
        "papers.parquet",
        ".hidden.parquet",
        "_too.parquet",
        ".labels.parquet.parts/1/a.parquet",
        "_tmp/b.parquet",
    ):
        (tmp_path / "dump" / name).parent.mkdir(parents=True, exist_ok=True)
        papers.head(5).write_parquet(tmp_path / "dump" / name)
    summary = score_file([str(tmp_path / "dump")], tmp_path / "labels.parquet", classifier=classifier)
    assert summary.counts.rows == 5


def test_the_footer_tells_what_made_the_file(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    labels = labels_of(papers, tmp_path, classifier)
    provenance = read_provenance(tmp_path / "labels.parquet")
    assert provenance is not None
    assert provenance["bundle_digest"] == classifier.digest
    assert provenance["threshold"] == classifier.manifest.threshold
    rows = provenance["rows"]
    assert rows.pop("tokens") > papers.height
    assert rows == {
        "rows": papers.height,
        "scored": papers.height,
        "reused": 0,
        "unreadable": 0,
        "duplicates": 0,
        "positives": (labels["label"] == "cs.RO").sum(),
        "uncertain": 0,
        "unscored": {},
        "screened": 0,
        "audited": 0,
        "disagreements": 0,
    }
    assert provenance["started"] <= provenance["finished"]


def test_pages_carry_checksums(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    labels_of(papers, tmp_path, classifier)
    path = tmp_path / "labels.parquet"
    column = pq.read_metadata(path).row_group(0).column(2)
    damaged = bytearray(path.read_bytes())
    damaged[column.data_page_offset + column.total_compressed_size - 3] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


def test_progress_ends_with_every_paper_and_part(papers: pl.DataFrame, tmp_path: Path, classifier: Classifier) -> None:
    papers.write_parquet(tmp_path / "papers.parquet")
    seen: list[Progress] = []
    score_file(
        [str(tmp_path / "papers.parquet")],
        tmp_path / "labels.parquet",
        classifier=classifier,
        settings=Settings(part_rows=128),
        on_progress=seen.append,
    )
    assert [item.papers_done for item in seen] == sorted(item.papers_done for item in seen)
    assert seen[0] == Progress(papers=300, papers_done=0, parts=3, parts_done=0)
    assert seen[-1] == Progress(papers=300, papers_done=300, parts=3, parts_done=3)


def test_an_interrupted_run_leaves_the_old_labels_and_its_finished_parts(
    papers: pl.DataFrame, tmp_path: Path, classifier: Classifier
) -> None:
    labels_of(papers.head(10), tmp_path, classifier)
    before = (tmp_path / "labels.parquet").read_bytes()
    papers.write_parquet(tmp_path / "papers.parquet")

    def interrupt(progress: Progress) -> None:
        if progress.parts_done == 2:
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        score_file(
            [str(tmp_path / "papers.parquet")],
            tmp_path / "labels.parquet",
            classifier=classifier,
            settings=Settings(part_rows=50),
            on_progress=interrupt,
        )
    assert (tmp_path / "labels.parquet").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".labels.parquet.parts",
        "labels.parquet",
        "papers.parquet",
    ]


def test_a_paper_whose_score_is_not_finite_is_reported(
    papers: pl.DataFrame, tmp_path: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = classifier.logits
    unlucky = classifier.encode(*(papers[name][4].replace("\n", " ") for name in ("title", "abstract")))
    monkeypatch.setattr(
        classifier, "logits", lambda ids: real(ids) * np.float32("nan") if list(ids) == unlucky else real(ids)
    )
    labels = labels_of(papers.head(8), tmp_path, classifier)
    assert labels["error"].to_list() == [None] * 4 + ["non_finite"] + [None] * 3
    assert labels["label"][4] is None


def test_a_part_has_its_own_file_looked_at_alone(
    papers: pl.DataFrame, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a dump of many files would be looked at as many times as it has parts."""
    (tmp_path / "dump").mkdir()
    for number in range(6):
        papers.slice(10 * number, 10).write_parquet(tmp_path / "dump" / f"{number}.parquet")
    looked: list[Path] = []

    def look(path: Path) -> Identity:
        looked.append(path)
        return identity_of(path)

    monkeypatch.setattr(files, "identity_of", look)
    monkeypatch.setattr(plan, "identity_of", look)
    settings = Settings(part_rows=5)
    score_file(tmp_path / "dump", tmp_path / "labels.parquet", classifier=classifier, settings=settings)
    assert len(looked) == 2 * 6 + 2 * 6 + 6  # planned, after each part, and before the labels appear
