"""The front of speed against changed labels: the same papers at several cuts of one cascade."""

import csv
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.measure import Child
from ro32.model.bundle import CASCADE, MANIFEST, Bundle

CUTS = (-8.5, -6.0, -3.0, -1.0)
"""Tried beside the certified one."""

Point = Mapping[str, float]
"""cut, papers_per_s, changed_share."""


def try_cuts(
    bundle: Path, folder: Path, rows: int, score: Callable[[Path], Child], say: Callable[[str], object]
) -> list[Point]:
    """Label all papers at other cuts; how many labels these change, cascade.csv tells.

    Args:
        bundle: A bundle with a cascade.
        folder: Where to put one of another cut.
        rows: Papers that are labelled.
        score: Labels them by a bundle.
        say: Receives progress messages.
    """
    manifest = Bundle.load(bundle).manifest
    if manifest.cascade is None:
        raise ValueError(f"{bundle}: the bundle has no cascade")
    with (bundle / CASCADE).open(newline="") as file:
        counts = [row for row in csv.DictReader(file) if row["by"] == "cut"]
    changed = {float(row["value"]): int(row["lost"]) / int(row["papers"]) for row in counts}
    folder.mkdir()
    for name in manifest.files:
        (folder / name).symlink_to(bundle / name)
    points: list[Point] = []
    for cut in CUTS:
        say(f"all papers at the cut {cut:g}")
        # At a high cut the certified calibration would call papers positive; for speed any other does as well.
        cascade = dataclasses.replace(manifest.cascade, cut=cut, intercept=-9.0, linear=0.0)
        (folder / MANIFEST).write_bytes(dataclasses.replace(manifest, cascade=cascade).to_bytes())
        points.append({"cut": cut, "papers_per_s": rows / score(folder).wall_s, "changed_share": changed[cut]})
    return points


def draw(front: Sequence[Point], chosen: Point, *, full: float, most_changed: float, path: Path) -> None:
    """Draw papers a second against changed labels, one point a cut.

    Args:
        front: Points by rising cut.
        chosen: The one that is certified.
        full: Papers a second of full scoring.
        most_changed: Share of the labels that may change.
        path: PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - measured children need no pictures
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 4.0), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [1e6 * point["changed_share"] for point in front], [point["papers_per_s"] for point in front], "o-", color="C0"
    )
    for point in front:
        text = f"cut {point['cut']:g}" + (", certified" if point == chosen else "")
        at = (1e6 * point["changed_share"], point["papers_per_s"])
        axes.annotate(text, at, xytext=(6, -12), textcoords="offset points")
    axes.plot([0], [full], "s", color="C3")
    axes.annotate("full scoring", (0, full), xytext=(8, 4), textcoords="offset points")
    axes.axvline(1e6 * most_changed, color="0.6", linestyle="--")
    axes.annotate("allowed", (1e6 * most_changed, 0), xytext=(5, 6), textcoords="offset points", color="0.4")
    axes.set(xlabel="changed labels in a million", ylabel="papers/s, Parquet to Parquet", ylim=(0, None))
    axes.set_xscale("symlog", linthresh=10)
    widest = 1e6 * max(most_changed, *(point["changed_share"] for point in front))
    axes.set_xlim(-2, 4 * widest)  # room for the names of the points; the scale is linear around 0
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    FigureCanvasAgg(figure).print_png(str(path), metadata={"Software": None})  # type: ignore[no-untyped-call]
