"""A run as one page of HTML that needs no network."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from chainrule import __version__
from chainrule.errors import ChainruleError, missing_package
from chainrule.insight import report_parts as parts
from chainrule.insight.chart_axes import Figure
from chainrule.insight.costs import Times, layer_times
from chainrule.insight.record import RunRecord
from chainrule.insight.record_file import text_of
from chainrule.insight.words import Words
from chainrule.models import container, load_model
from chainrule.paths import path_of

_PAGES = Path(__file__).with_name("pages")
# Nothing is fetched from anywhere, whatever the record says.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


@dataclass
class Page:
    """A page in one language, the charts that its text refers to, and times of layers that the
    record does not have."""

    words: Words
    times: Times = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    def chart(self, figure: Figure) -> str:
        """Return the place of a chart in the page."""
        self.figures.append(figure)
        height = int(figure["layout"]["height"])
        place = len(self.figures) - 1
        return f'<div class="chart" data-figure="{place}" style="height:{height}px"></div>'


def write_report(
    run: RunRecord | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    language: str = "en",
) -> Path:
    """Write what a run has left as one HTML file, which needs no network; return its path.

    The page has the verdict in words, learning curves, the flow of the gradients, dead and
    saturated units, updates, histograms, right and wrong answers, the network, its first filters,
    time and memory by layer, and what repeats the run; of these what the record holds. A run that
    goes on or was interrupted has a report too.

    Parameters
    ----------
    run : RunRecord or path-like
        A record, or the folder of one.
    path : path-like, optional
        Where to; by default ``report.html`` in the folder of the run.
    language : {"en", "zh"}, default "en"
        English or Chinese.

    Raises
    ------
    FileError
        Where there is no record, or the file cannot be written.
    ArgumentError
        For another language, or what is no path.
    MissingDependencyError
        Without Plotly, whose JavaScript draws the charts.

    Examples
    --------
    >>> from chainrule.insight import write_report
    >>> write_report("runs/digits")  # doctest: +SKIP
    PosixPath('runs/digits/report.html')
    """
    words = Words(language)
    record = run if isinstance(run, RunRecord) else RunRecord(path_of("run", run))
    target = record.folder / "report.html" if path is None else path_of("path", path)
    text = report_html(record, words, times_of(record))
    with container.replacing(target) as file:
        file.write(text.encode())
    return target


def times_of(record: RunRecord) -> Times:
    """Return the times of the layers, measured now, of a run that was too short to measure them on
    the way, and has left its model; else nothing."""
    path = record.folder / "model.chainrule"
    layers = (record.final or {}).get("layers") or []
    if not layers or any("forward" in one for one in layers) or not path.exists():
        return {}
    size = (record.about.get("training") or {}).get("batch_size") or 32
    try:
        return layer_times(load_model(path), int(size))
    except ChainruleError:
        return {}  # e.g. a layer of the user's own, which is not known here


def report_html(record: RunRecord, words: Words, times: Times | None = None) -> str:
    """Return the page as text; see `write_report`."""
    script = plotly_script()
    page = Page(words, times or {})
    sections = parts.sections(record, page)
    body = [_head(record, words), _contents([key for key, _ in sections], words)]
    body += [
        f'<section id="{key}"><h2>{escape(words(key))}</h2>{content}</section>'
        for key, content in sections
    ]
    foot = escape(words("made_by", version=__version__))
    body.append(f"<footer>{foot}</footer>")
    return _document(record.name, words, "\n".join(body), page.figures, script)


def plotly_script() -> str:
    """Return Plotly's JavaScript, which its Python package holds.

    Raises
    ------
    MissingDependencyError
        Where that is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise missing_package("plotly", "drawing the charts of a report", "insight") from None
    return str(get_plotlyjs())


def _document(title: str, words: Words, body: str, figures: Sequence[Figure], script: str) -> str:
    language = "zh-CN" if words.language == "zh" else "en"
    heading = escape(f"{title} \u00b7 {words('report')}")
    return f"""<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{heading}</title>
<style>
{_page("report.css")}
</style>
</head>
<body>
<main>
{body}
</main>
<script type="application/json" id="figures">{as_script(figures)}</script>
<script>{script}</script>
<script>
{_page("report.js")}
</script>
</body>
</html>
"""


def as_script(value: Any) -> str:
    """Return plain data as JSON that cannot end the script it stands in."""
    text = text_of(value) if not isinstance(value, str) else json.dumps(value)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _page(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")


def _head(record: RunRecord, words: Words) -> str:
    state = record.state
    return (
        f"<header><p class='over'>{escape(words('report'))}</p>"
        f"<h1>{escape(record.name)} <span class='state {state}'>{escape(words(state))}</span></h1>"
        f"{parts.tiles(record, words)}</header>"
    )


def _contents(keys: Sequence[str], words: Words) -> str:
    links = "".join(f'<a href="#{key}">{escape(words(key))}</a>' for key in keys)
    return f'<nav aria-label="{escape(words("contents"))}">{links}</nav>'
