"""The section of the page that speaks of groups of papers: by year, by length, by primary category."""

from collections.abc import Sequence

from ro32.evaluation.one_model import Evaluation
from ro32.evaluation.page.group_charts import rows_chart, years_chart
from ro32.evaluation.page.markup import Markup, element
from ro32.evaluation.page.parts import details, figure, pair, section, slice_row, table
from ro32.evaluation.results import Results
from ro32.evaluation.slices import UNKNOWN_NAME, Dimension, Slice
from ro32.evaluation.table import MEASURED, MEASURES

_DRAWN = 16
"""Primary categories that are drawn, those with the most listed papers."""
_TOLD = 40
"""Primary categories in the table below."""


def groups(results: Results) -> Markup:
    """Show measures by year, by length, by primary category."""
    items = results.evaluations
    by = {dimension: [item.slices[dimension] for item in items] for dimension in Dimension}
    return section(
        "groups",
        "Where it is right, and where it is wrong",
        element("p", "F1 with its interval. Few listed papers make a wide one; pale points rest on fewer than ten."),
        pair(
            element(
                "div",
                _group("By year", years_chart(by[Dimension.YEAR]), items, Dimension.YEAR),
                _group(
                    "By length of title and abstract, in characters",
                    _rows("lengths", by[Dimension.LENGTH]),
                    items,
                    Dimension.LENGTH,
                ),
            ),
            _group("By primary category", _rows("categories", by[Dimension.CATEGORY]), items, Dimension.CATEGORY),
        ),
    )


def _group(title: str, drawn: Markup | None, items: Sequence[Evaluation], dimension: Dimension) -> Markup:
    header = (str(dimension), "papers", "listed", *(MEASURES[name] for name in MEASURED), "AP")
    tables = (table(item.scores.name, header, map(slice_row, item.slices[dimension][:_TOLD])) for item in items)
    return element(
        "div",
        element("h3", title),
        figure(drawn) if drawn else element("p", "Of these papers, the dump does not tell.", class_="quiet"),
        details("Figures", *tables),
        class_="group",
    )


def _rows(name: str, by_model: Sequence[Sequence[Slice]]) -> Markup | None:
    """Draw the groups in which a model found, missed or called a paper; None where the dump tells of no group."""
    known = [{group.group: group for group in slices if "f1" in group.decisions} for slices in by_model]
    names = list(dict.fromkeys(name for slices in known for name in slices))[:_DRAWN]
    if set(names) <= {UNKNOWN_NAME}:
        return None
    listed = {group: next(slices[group].listed for slices in known if group in slices) for group in names}
    drawn = [
        (
            group,
            f"{listed[group]:,} listed",
            [slices[group].decisions["f1"] if group in slices else None for slices in known],
        )
        for group in names
    ]
    return rows_chart(name, "F1", drawn, pale=[listed[group] < 10 for group in names])  # noqa: PLR2004 - as the page says
