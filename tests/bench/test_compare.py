"""What got slower: beyond noise, of ours, and not because the machine was busy."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.compare import slower
from tests.bench.results_of_a_day import content


def scaled(results: dict[str, Any], factor: float, *names: str) -> dict[str, Any]:
    """Multiply every spread of these names, throughout a results file."""

    def walk(value: Any) -> None:
        for name, item in value.items():
            if name in names:
                item.update({quartile: number * factor for quartile, number in item.items()})
            elif isinstance(item, dict):
                walk(item)

    walk(results["sections"])
    return results


def test_same_results_are_not_slower() -> None:
    assert slower(content(), content()) == []


def test_lower_rate_is_reported_once_for_each_figure_of_ours() -> None:
    found = slower(content(), scaled(content(), 0.8, "papers_per_s"))
    assert any(
        line.startswith("throughput, contest, base, ro32, papers_per_s: 40 (39 to 41) became 32") for line in found
    )
    assert all(line.endswith("25% slower") for line in found)
    assert not any("transformers" in line for line in found)


def test_longer_time_is_reported() -> None:
    after = scaled(content(), 1.5, "model")
    assert [line.rpartition(", ")[2] for line in slower(content(), after)] == ["50% slower"] * 2


@pytest.mark.parametrize("factor", [1.2, 0.97])
def test_faster_or_within_the_spread_is_not_reported(factor: float) -> None:
    assert slower(content(), scaled(content(), factor, "papers_per_s", "papers_per_processor_s")) == []


def test_what_the_whole_machine_lost_is_excused() -> None:
    names = ("papers_per_s", "papers_per_processor_s", "peak_operations_per_s", "useful_operations_per_s")
    assert slower(content(), scaled(content(), 0.7, *names)) == []
    faster_machine = scaled(scaled(content(), 1.5, "peak_operations_per_s"), 0.8, "papers_per_s")
    assert slower(content(), faster_machine), "a faster machine excuses nothing"


def test_smaller_share_of_the_peak_is_not_excused() -> None:
    after = scaled(content(), 0.7, "peak_operations_per_s", "share_of_peak")
    assert all("share_of_peak" in line for line in slower(content(), after))
    assert len(slower(content(), after)) == 4


def test_results_of_two_machines_are_refused() -> None:
    other = content()
    other["machine"]["cores"] = 4
    with pytest.raises(ValueError, match="two machines are not to be compared: cores 2 and 4"):
        slower(content(), other)


def test_results_with_other_settings_are_refused() -> None:
    other = content()
    other["sections"]["throughput"]["settings"]["repeats"] = 9
    with pytest.raises(ValueError, match="no section of one name"):
        slower(content(), other)


def test_command_ends_with_1_when_something_got_slower(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content()))
    (tmp_path / "b.json").write_text(json.dumps(scaled(content(), 0.5, "papers_per_s")))
    codes = []
    for pair in (("a.json", "b.json"), ("b.json", "a.json")):
        done = subprocess.run(
            [sys.executable, "-m", "bench", "compare", *(str(tmp_path / name) for name in pair)],
            capture_output=True,
            text=True,
            check=False,
        )
        codes.append(done.returncode)
        assert ("slower" in done.stdout) == bool(done.returncode)
    assert codes == [1, 0]
