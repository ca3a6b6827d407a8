"""What the benchmarks rest on: dumps, measured processes, spreads, the results file."""

import json
import re
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bench import machine, results
from bench.dump import make_dump
from bench.measure import BenchError, quartiles, run_child, take_turns
from bench.report import newest, render
from bench.results import Section, at_least, at_most


def allocate(settings: dict[str, Any]) -> dict[str, Any]:
    """Take some memory, for a test to find again."""
    block = bytearray(settings["bytes"])
    block[::4096] = b"x" * len(block[::4096])
    return {"held": len(block)}


def repeat(settings: dict[str, Any]) -> dict[str, Any]:
    """Tell which repeat it is."""
    return {"repeat": settings["repeat"] * settings["times"]}


def fail(_settings: dict[str, Any]) -> dict[str, Any]:
    """Break."""
    raise RuntimeError


HERE = "tests.bench.test_measuring"
ROOT = Path(__file__).parents[2]


def test_dump_repeats_real_papers_under_ids_and_texts_of_their_own(papers_path: Path, tmp_path: Path) -> None:
    make_dump(papers_path, tmp_path / "dump.parquet", rows=60_000, seed=1)
    dump = pl.read_parquet(tmp_path / "dump.parquet")
    assert len(dump) == dump["id"].n_unique() == dump["abstract"].n_unique() == 60_000
    assert set(dump["title"]) <= set(pl.read_parquet(papers_path)["title"])
    words = dump["abstract"].str.count_matches(r"\S+")
    real = pl.read_parquet(papers_path)["abstract"].str.count_matches(r"\S+")
    assert float(words.mean()) == pytest.approx(float(real.mean()), rel=0.01)  # type: ignore[arg-type]


def test_a_longer_dump_begins_with_the_papers_of_a_shorter_one(papers_path: Path, tmp_path: Path) -> None:
    for rows in (1_000, 1_100):
        make_dump(papers_path, tmp_path / f"{rows}.parquet", rows=rows, seed=1)
    short, long = (pl.read_parquet(tmp_path / f"{rows}.parquet") for rows in (1_000, 1_100))
    assert long.head(1_000).equals(short)


def test_process_is_measured_apart() -> None:
    small, large = (run_child(f"{HERE}:allocate", {"bytes": size}) for size in (1 << 20, 200 << 20))
    assert large.result == {"held": 200 << 20}
    assert large.peak_rss_bytes - small.peak_rss_bytes == pytest.approx(199 << 20, rel=0.1)
    assert large.wall_s > 0
    with pytest.raises(BenchError, match="ended with 1"):
        run_child(f"{HERE}:fail", {})


def test_cases_take_turns() -> None:
    said: list[str] = []
    cases = {name: (f"{HERE}:repeat", {"times": times}) for name, times in (("a", 1), ("b", 10))}
    found = take_turns(cases, 2, said.append)
    assert [line.rpartition(" ")[2] for line in said] == ["a", "b", "a", "b"]
    assert {name: [child.result["repeat"] for child in children] for name, children in found.items()} == {
        "a": [0, 1],
        "b": [0, 10],
    }


def test_quartiles_surround_the_median() -> None:
    assert quartiles([4, 1, 3, 2, 5]) == {"median": 3, "q1": 2, "q3": 4}


def test_sections_of_a_day_share_a_file(tmp_path: Path) -> None:
    for name, check in (("one", at_least("a", 2, 1)), ("two", at_most("b", 2, 1))):
        section = Section(settings={}, figures={}, checks=[check])
        path, _ = results.record(name, partial(copy, section), tmp_path)
    content = results.read(path)
    assert path.name.startswith(machine.slug())
    assert {name: section["checks"][0]["holds"] for name, section in content["sections"].items()} == {
        "one": True,
        "two": False,
    }
    assert content["machine"]["cores"] >= 1
    path.write_text('{"format": 99}')
    with pytest.raises(ValueError, match="expected format 1, found 99"):
        results.read(path)


def test_another_machine_of_the_same_name_has_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = Section(settings={}, figures={}, checks=[])
    here, other = machine.describe(), {**machine.describe(), "flags": ["another"]}
    paths = []
    for facts in (here, other, here, other):
        monkeypatch.setattr(machine, "describe", partial(copy, facts))
        paths.append(results.record("one", partial(copy, section), tmp_path)[0])
    assert paths[:2] == paths[2:]
    assert [results.read(path)["machine"]["flags"] for path in paths[:2]] == [here["flags"], ["another"]]


def test_functions_that_are_named_by_text_exist() -> None:
    sources = [path.read_text() for path in (ROOT / "bench").rglob("*.py")]
    named = {found for source in sources for found in re.findall(r'"(bench[.\w]*):(\w+)"', source)}
    assert ("bench.cascade", "measure") in named
    for module, function in named:
        assert f"\ndef {function}(" in (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()


def write_results(path: Path, flags: list[str], papers: int) -> None:
    """Write a results file that is named by its day."""
    moment = {"at": f"{path.stem}T00:00:00+00:00", "load_1min": 0.5, "commit": "abc"}
    section = {
        "before": moment,
        "after": moment,
        "settings": {"rows": 7},
        "checks": [{"what": "speed", "found": 2.0, "at_least": 1.0, "holds": True}],
        "figures": {"ours": {"rate": {"median": 2.0, "q1": 1.0, "q3": 3.0}, "papers": papers}},
    }
    facts = {"processor": "P", "cores": 2, "flags": flags, "memory_bytes": 1, "python": "3.11"}
    path.write_text(json.dumps({"format": 1, "machine": facts, "sections": {"one": section}}))


def test_report_shows_the_newest_section_of_each_benchmark(tmp_path: Path) -> None:
    write_results(tmp_path / "2026-01-02.json", ["avx2"], 22)
    write_results(tmp_path / "2026-01-01.json", ["avx2"], 11)
    text = render(newest(tmp_path))
    assert "| ours, papers | 22 |" in text
    assert "| ours, rate | 2 (1 to 3) |" in text
    assert "| speed | 2 | ≥ 1 | holds |" in text
    assert "11" not in text.replace("3.11", "")


def test_report_shows_each_machine(tmp_path: Path) -> None:
    for day, flags, papers in (("01", ["avx2"], 11), ("02", ["avx512f"], 22), ("03", ["neon"], 33)):
        write_results(tmp_path / f"2026-01-{day}.json", flags, papers)
    for first, order in ((None, [33, 22, 11]), ("2026-01-02.json", [22, 33, 11]), ("2026-01-01.json", [11, 33, 22])):
        text = render(newest(tmp_path, tmp_path / first if first else None))
        assert [int(papers) for papers in re.findall(r"ours, papers \| (\d+)", text)] == order
        assert text.count("## one\n") == 1
        assert text.count("## one, on another machine\n") == 2
