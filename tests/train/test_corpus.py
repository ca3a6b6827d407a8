"""The dump and its tokenized corpus: either format, every paper once, read once."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ro32.errors import InputDataError, InputMissingError
from ro32.model.text import PaperTokenizer, normalize
from ro32.train.config import Recipe
from ro32.train.corpus import Corpus, load_corpus
from ro32.train.dump import Dump
from ro32.train.split import split


@pytest.fixture(scope="session")
def tokenizer_json(base: Path) -> bytes:
    return (base / "tokenizer.json").read_bytes()


def load(path: Path, tokenizer_json: bytes, cache: Path, **settings: object) -> Corpus:
    return load_corpus(Dump.open(path), tokenizer_json=tokenizer_json, max_length=64, cache=cache, **settings)  # type: ignore[arg-type]


def write_snapshot(papers: pl.DataFrame, path: Path) -> None:
    """Write papers as the Kaggle snapshot has them: more fields, wrapped texts, an abstract that begins with spaces."""
    with path.open("w") as file:
        for row in papers.iter_rows(named=True):
            file.write(
                json.dumps(
                    {
                        "id": row["id"],
                        "authors": "A. Author",
                        "title": row["title"].replace(" ", "\n  ", 1),
                        "comments": None,
                        "categories": row["categories"],
                        "abstract": f"  {row['abstract'].replace(' ', chr(10), 1)}\n",
                        "versions": [{"version": "v1", "created": "Mon, 2 Apr 2007 19:18:42 GMT"}],
                        "update_date": "2008-11-26",
                    }
                )
                + "\n"
            )


def test_json_lines_and_parquet_give_the_same_corpus(
    papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path
) -> None:
    """The content decides the format: both files have the wrong suffix."""
    parquet, snapshot = tmp_path / "papers.json", tmp_path / "papers.parquet"
    papers.write_parquet(parquet)
    write_snapshot(papers, snapshot)
    one, other = (load(path, tokenizer_json, tmp_path / "cache") for path in (parquet, snapshot))
    np.testing.assert_array_equal(one.tokens, other.tokens)
    np.testing.assert_array_equal(one.id_hashes, other.id_hashes)
    assert one.categories.equals(other.categories)
    assert one.digest != other.digest


def test_corpus_holds_what_the_scorer_tokenizes(papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path) -> None:
    papers.write_parquet(tmp_path / "dump")
    corpus = load(tmp_path / "dump", tokenizer_json, tmp_path / "cache")
    tokenizer = PaperTokenizer(tokenizer_json, max_length=64)
    texts = papers.select(normalize(pl.col("title", "abstract")))
    for at, (title, abstract) in enumerate(texts.iter_rows()):
        start = corpus.starts[at]
        assert corpus.tokens[start : start + corpus.lengths[at]].tolist() == tokenizer.encode(title, abstract)


def test_latest_update_of_a_paper_wins_and_the_others_are_counted(
    papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path
) -> None:
    first, second, third = (papers.row(at, named=True) for at in range(3))
    rows = [
        first | {"update_date": "2011-01-01", "title": "the latest"},
        second | {"update_date": "2012-01-01"},
        first | {"update_date": "2010-01-01", "title": "an older one"},
        third | {"update_date": "2013-01-01", "title": "", "abstract": None},
        second | {"update_date": "2012-01-01", "title": "same day, further down"},
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "dump")
    corpus = load(tmp_path / "dump", tokenizer_json, tmp_path / "cache")
    assert (len(corpus), corpus.duplicates, corpus.empty) == (2, 2, 1)
    tokenizer = PaperTokenizer(tokenizer_json, max_length=64)
    titles = ("the latest", "same day, further down")
    for at, (title, paper) in enumerate(zip(titles, (first, second), strict=True)):
        abstract = pl.select(normalize(pl.lit(paper["abstract"]))).item()
        start = corpus.starts[at]
        assert corpus.tokens[start : start + corpus.lengths[at]].tolist() == tokenizer.encode(title, abstract)


def test_second_reading_comes_from_the_cache_and_another_tokenizer_does_not(
    papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path
) -> None:
    papers.write_parquet(tmp_path / "dump")
    load(tmp_path / "dump", tokenizer_json, tmp_path / "cache")
    (written,) = (tmp_path / "cache").iterdir()
    before = {path: path.stat().st_mtime_ns for path in written.iterdir()}
    load(tmp_path / "dump", tokenizer_json, tmp_path / "cache")
    assert {path: path.stat().st_mtime_ns for path in written.iterdir()} == before
    load(tmp_path / "dump", tokenizer_json.replace(b'"lowercase": true', b'"lowercase": false'), tmp_path / "cache")
    load(tmp_path / "dump", tokenizer_json, tmp_path / "cache", share=0.5)
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("name", ["tokens.bin", "papers.parquet", "meta.json"])
@pytest.mark.parametrize("size", [None, 0, 40])
def test_a_damaged_cache_is_written_again(
    name: str, size: int | None, papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path
) -> None:
    papers.head(20).write_parquet(tmp_path / "dump")
    tokens = load(tmp_path / "dump", tokenizer_json, tmp_path / "cache").tokens.copy()
    (written,) = (tmp_path / "cache").iterdir()
    if size is None:
        (written / name).unlink()  # by a job that cleans old files
    else:
        os.truncate(written / name, size)
    np.testing.assert_array_equal(load(tmp_path / "dump", tokenizer_json, tmp_path / "cache").tokens, tokens)


def test_a_paper_keeps_its_side_when_the_dump_grows(
    papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path
) -> None:
    papers.head(200).write_parquet(tmp_path / "small")
    papers.sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "grown")
    sides = []
    for name in ("small", "grown"):
        corpus = load(tmp_path / name, tokenizer_json, tmp_path / "cache")
        sides.append([set(corpus.id_hashes[index].tolist()) for index in split(corpus, Recipe())])
    (training, validation), (grown_training, grown_validation) = sides
    assert training < grown_training
    assert validation < grown_validation
    assert not grown_training & grown_validation
    assert len(grown_training) / len(papers) == pytest.approx(0.70, abs=0.08)  # three standard errors of 300 draws
    assert len(grown_validation) / len(papers) == pytest.approx(0.15, abs=0.06)


def test_split_depends_on_the_seed(papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path) -> None:
    papers.write_parquet(tmp_path / "dump")
    corpus = load(tmp_path / "dump", tokenizer_json, tmp_path / "cache")
    one, other = (split(corpus, Recipe(seed=seed))[0].tolist() for seed in (1, 2))
    both = len(set(one) & set(other)) / len(corpus)
    assert both == pytest.approx(0.49, abs=0.09)  # independent draws of 70 % each


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"id,title\n1,a\n", "no column abstract, categories"),
        (b"", "is empty"),
        (b"a letter\n", "is not Parquet, JSON lines or CSV"),
        (b"PAR1 cut off", "not a Parquet file"),
    ],
)
def test_what_is_no_dump_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(content)
    with pytest.raises(InputDataError, match=reason):
        Dump.open(tmp_path / "dump")


def test_dump_without_text_is_reported(papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path) -> None:
    papers.with_columns(title=pl.lit(" "), abstract=pl.lit("")).write_parquet(tmp_path / "dump")
    with pytest.raises(InputDataError, match="expected papers with text, found none among 300 rows"):
        load(tmp_path / "dump", tokenizer_json, tmp_path / "cache")


def test_released_tokens_are_read_again(papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path) -> None:
    papers.write_parquet(tmp_path / "dump")
    corpus = load(tmp_path / "dump", tokenizer_json, tmp_path / "cache")
    before = corpus.tokens.copy()
    corpus.release()
    np.testing.assert_array_equal(corpus.tokens, before)


def test_token_ids_may_have_gaps(papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path) -> None:
    tokenizer = json.loads(tokenizer_json)
    tokenizer["model"]["vocab"]["qqqq"] = 70_000
    one = papers.head(1).with_columns(title=pl.lit("qqqq"))
    one.write_parquet(tmp_path / "dump.parquet")
    corpus = load(tmp_path / "dump.parquet", json.dumps(tokenizer).encode(), tmp_path)
    assert corpus.tokens[1] == 70_000
    assert corpus.vocabulary_size == 70_001


def test_a_corpus_that_another_run_made_meanwhile_is_taken(
    papers: pl.DataFrame, tokenizer_json: bytes, tmp_path: Path
) -> None:
    papers.head(20).write_parquet(tmp_path / "dump.parquet")
    cache = tmp_path / "cache"

    def be_faster(_rows: int) -> None:
        load_corpus(Dump.open(tmp_path / "dump.parquet"), tokenizer_json=tokenizer_json, max_length=64, cache=cache)

    corpus = load(tmp_path / "dump.parquet", tokenizer_json, cache, on_rows=be_faster)
    assert len(corpus) == 20
    assert len(list(cache.iterdir())) == 1


def test_missing_dump_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match="cannot be read"):
        Dump.open(tmp_path / "nothing")


def test_damaged_line_is_named(papers: pl.DataFrame, tmp_path: Path) -> None:
    write_snapshot(papers.head(3), tmp_path / "dump")
    with (tmp_path / "dump").open("a") as file:
        file.write('{"id": "0704.0001", "title": \n')
    with pytest.raises(InputDataError, match=r"1 row cannot be read \(line 4: not JSON"):
        list(Dump.open(tmp_path / "dump").frames())


def test_paper_without_id_is_reported(papers: pl.DataFrame, tmp_path: Path) -> None:
    papers.with_columns(pl.lit(None, pl.String).alias("id")).write_parquet(tmp_path / "dump")
    with pytest.raises(InputDataError, match="a paper has no id"):
        list(Dump.open(tmp_path / "dump").frames())
