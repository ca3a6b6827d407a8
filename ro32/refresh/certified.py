"""Adds a certified cascade to the files of a bundle: manifest, counts, curve and card."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from ro32.model.bundle_json import CARD, CASCADE, CURVES, MANIFEST, Manifest, sha256
from ro32.model.cascade import Cascade
from ro32.model.metrics import Curve
from ro32.refresh.certificate import Row
from ro32.refresh.combine import replace_curve

SECTION = """

## Cascade

Papers whose log-odds by the linear view are below {cut:g} are scored by it alone: {screened:,} of {papers:,} papers
that no model was trained on ({share:.2%}). That changes {changed} of their labels, all of them from {label} to {other}.
With {confidence:.0%} confidence it changes at most {max_share:.2%} of the labels of papers like these (the exact
binomial bound at this count is {bound:.4%}). `cascade.csv` has these counts for other cuts, by year and by category,
and names the papers.
"""
QUALITY = """
Measured by what the papers are listed in: F1 {full_f1:.4f} by full scoring and {cascade_f1:.4f} by the cascade, average
precision {full_average_precision:.4f} and {cascade_average_precision:.4f}. Of the papers below the cut
{screened_share_listed:.4%} are listed, and {screened_mean_score:.4%} is their mean score.
"""


def with_cascade(
    manifest: Manifest, files: Mapping[str, bytes], cascade: Cascade, *, rows: Sequence[Row], curve: Curve | None
) -> dict[str, bytes]:
    """Return the files of a bundle, its manifest among them, with a cascade; one that is there already gives way.

    Args:
        manifest: Of the bundle.
        files: Its files by name.
        cascade: What it gets.
        rows: What the cut changes.
        curve: Precision and recall of the scores that come out, in the place of those of full scoring.
    """
    certificate = cascade.certificate
    new = {name: content for name, content in files.items() if name != MANIFEST}
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([Row._fields, *rows])
    new[CASCADE] = table.getvalue().encode()
    if curve is not None and CURVES in new:
        new[CURVES] = replace_curve(new[CURVES], str(manifest.view), curve)
    card = new.get(CARD, b"").decode(errors="surrogateescape").partition("\n\n## Cascade\n")[0].rstrip()
    card += SECTION.format(
        **asdict(certificate),
        cut=cascade.cut,
        share=certificate.screened / certificate.papers,
        changed=certificate.changed,
        label=manifest.positive_label,
        other=manifest.negative_label,
    )
    if certificate.quality:
        card += QUALITY.format(**certificate.quality)
    new[CARD] = card.encode(errors="surrogateescape")
    digests = {name: sha256(content) for name, content in new.items()}
    new[MANIFEST] = replace(manifest, cascade=cascade, files=digests).to_bytes()
    return new
