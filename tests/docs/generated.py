"""The parts of pages that are made from the code, so that they cannot drift from it. `make docs` writes them again.

They are the table between "<!-- quality -->" and "<!-- /quality -->" in docs/model.md, and the one between
"<!-- certificate -->" and "<!-- /certificate -->" in docs/cascade.md; both come from the shipped bundle's manifest.
"""

import re

from ro32.model.bundle import Bundle
from ro32.model.views import ViewName
from tests.docs.commands import ROOT
from tests.docs.manual import MANUAL, pages
from tests.docs.reference import REFERENCE, reference

MODEL = ROOT / "docs" / "model.md"
CASCADE = ROOT / "docs" / "cascade.md"

ORIGINAL = "| CSET's ro-32, by its card | all of arXiv from 2010 on | | 0.8027 | 0.8390 | 0.7694 |"
"""What inspired ro32, measured on other papers."""
VIEWS = {
    ViewName.COMBINED: "the model",
    ViewName.ENCODER: "its encoder alone",
    ViewName.LINEAR: "its linear view alone: the baseline",
}


def certificate_table() -> str:
    """Return what the shipped bundle's manifest says of its cascade."""
    cascade = Bundle.shipped().manifest.cascade
    if cascade is None:
        return "The bundle that ships has none now.\n"
    certificate, quality = cascade.certificate, cascade.certificate.quality
    rows = [
        ("papers that no model was trained on", f"{certificate.papers:,}"),
        (
            f"of them below the cut, {cascade.cut:g}",
            f"{certificate.screened:,} ({certificate.screened / certificate.papers:.2%})",
        ),
        ("labels that change", f"{certificate.lost} from positive to negative, {certificate.gained} the other way"),
        (
            "allowed share of changed labels, and confidence",
            f"{certificate.max_share:.2%}, {certificate.confidence:.0%}",
        ),
        ("upper bound of the share of changed labels", f"{certificate.bound:.4%}"),
    ]
    for name, measure in (("F1", "f1"), ("average precision", "average_precision")):
        both = f"{quality[f'full_{measure}']:.4f} / {quality[f'cascade_{measure}']:.4f}"
        rows.append((f"{name}, full scoring / cascade", both))
    below = f"{quality['screened_share_listed']:.3%} / {quality['screened_mean_score']:.3%}"
    rows.append(("papers below the cut: share listed / mean score", below))
    return "".join(f"| {what} | {found} |\n" for what, found in [("certificate", "measured"), ("---", "---"), *rows])


def quality_table() -> str:
    """Return what the shipped bundle's manifest says of its quality: a sentence and a table."""
    manifest = Bundle.shipped().manifest
    quality = manifest.quality
    papers, positives = f"{quality['papers']:,}", f"{quality['positives']:,}"
    lines = [
        f"Measured on {papers} validation papers, {positives} of them in {manifest.positive_label}. No model was",
        "trained on them; a weighted sample with all positives represents them. The figures are cross-fitted: each",
        f"fifth of the papers is scored with values fitted on the others. The threshold is {manifest.threshold:.4g}.",
        "",
        "| scored by | papers | average precision | F1 | precision | recall |",
        "|---|---|---:|---:|---:|---:|",
    ]
    rows = [(VIEWS[ViewName.COMBINED], span, found) for span, found in quality.get("spans", {}).items()]
    rows += [(VIEWS[ViewName(name)], "weighted to today's archives", found) for name, found in quality["views"].items()]
    for view, span, found in rows:
        figures = (f"{found[measure]:.3f}" for measure in ("average_precision", "f1", "precision", "recall"))
        lines.append(f"| {view} | {span} | {' | '.join(figures)} |")
    lines.append(ORIGINAL)
    return "".join(f"{line}\n" for line in lines)


TABLES = {"quality": quality_table, "certificate": certificate_table}


def refresh(text: str) -> str:
    """Return a page's text with its generated table as the shipped bundle gives it."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?(?=<!-- /\1 -->)",
        lambda found: f"<!-- {found[1]} -->\n{TABLES[found[1]]()}",
        text,
        flags=re.DOTALL,
    )


def main() -> None:
    """Write the tables, the manual pages and the reference again."""
    for page in (MODEL, CASCADE):
        page.write_text(refresh(page.read_text(encoding="utf-8")), encoding="utf-8")
    for stale in MANUAL.glob("*.1"):
        stale.unlink()
    MANUAL.mkdir(exist_ok=True)
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
    REFERENCE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
