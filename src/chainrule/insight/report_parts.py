"""The parts of a report: what the record of a run has, as pieces of HTML."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from chainrule.insight import charts, charts_of_ends
from chainrule.insight.chart_axes import Figure
from chainrule.insight.png import filters as tiled_filters
from chainrule.insight.png import png, uri
from chainrule.insight.record import RunRecord
from chainrule.insight.verdict import best_of, verdict_of
from chainrule.insight.words import Words
from chainrule.models.memory import size
from chainrule.training.finding import SENTENCES
from chainrule.training.progress import duration
from chainrule.training.said import recalled

if TYPE_CHECKING:
    from chainrule.insight.report import Page

_DOT = " \u00b7 "
_OF_LOOKS = {
    "gradients": ("gradient_by_depth", "gradient_over_time", "signal_to_noise"),
    "updates": ("update_ratios",),
    "units": ("dead_units", "saturated_values"),
    "histograms": ("weight_histograms", "activation_histograms", "gradient_histograms"),
}
# What a record calls a fact about the machine, and the key of its words; the rest are names.
_MACHINE = {
    "system": "system",
    "instruction set": "instruction_set",
    "cores": "cores",
    "threads": "threads",
}


def sections(record: RunRecord, page: Page) -> list[tuple[str, str]]:
    """Return key of the title and content of each section that there is something to show in."""
    found = [
        ("verdict", _verdict(record, page.words)),
        ("learning", _learning(record, page)),
        *((key, _looked(record, page, names)) for key, names in _OF_LOOKS.items()),
        ("answers", _answers(record, page)),
        ("network", _network(record, page)),
        ("costs", _costs(record, page)),
        ("repeat", _repeat(record, page.words)),
    ]
    return [(key, content) for key, content in found if content]


def tiles(record: RunRecord, words: Words) -> str:
    """Return the numbers at the top."""
    pairs = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in _numbers(record, words)
    )
    return f'<dl class="tiles">{pairs}</dl>'


def _numbers(record: RunRecord, words: Words) -> Iterator[tuple[str, str]]:
    evaluation = (record.final or {}).get("evaluation") or {}
    for key, name in (("accuracy", words.metric("accuracy")), ("r2", "R\u00b2")):
        if evaluation.get(key) is not None:
            part = evaluation.get("part")
            said = words(part if part in ("test", "validation") else "training")
            named = _counted(words("of_part", part=said, name=name), evaluation, words)
            yield named, f"{float(evaluation[key]):.4g}"
    best = best_of(record)
    if best is not None:
        yield words("best_of", name=words.metric(best[0])), f"{best[2]:.4g}"
    training = record.about.get("training") or {}
    asked = (training.get("epochs") or 0) - (training.get("initial_epoch") or 0)
    done = len(record.epochs)
    yield words("epochs"), f"{done} / {asked}" if asked and asked != done else str(done)
    seconds = (record.final or {}).get("seconds") or record.status.get("elapsed")
    if seconds is not None:
        yield words("duration"), duration(float(seconds))
    parameters = (record.about.get("model") or {}).get("parameters")
    if parameters is not None:
        yield words("parameters"), f"{parameters:,}"
    samples = ((record.about.get("data") or {}).get("training") or {}).get("samples")
    if samples is not None:
        yield words("rows_trained"), f"{samples:,}"


def _counted(name: str, evaluation: Mapping[str, Any], words: Words) -> str:
    """Return the name of what was measured, with the samples where they were not all."""
    if "of" not in evaluation:
        return name
    count, total = f"{int(evaluation['samples']):,}", evaluation["of"]
    if total is None:
        return words("of_count", name=name, count=count)
    return words("of_some", name=name, count=count, total=f"{int(total):,}")


def card(words: Words, key: str, content: str, wide: bool = False, note: str = "") -> str:
    """Return a card with a title, what it shows in a sentence, and its content."""
    note = note or words(f"{key}_help")
    kind = "card wide" if wide else "card"
    title = escape(words(key))
    return f'<div class="{kind}"><h3>{title}</h3><p class="help">{escape(note)}</p>{content}</div>'


def cards(*found: str) -> str:
    """Return cards side by side; nothing where there are none."""
    content = "".join(found)
    return f'<div class="cards">{content}</div>' if content else ""


def _charted(page: Page, key: str, figure: Figure | None, wide: bool = False) -> str:
    return "" if figure is None else card(page.words, key, page.chart(figure), wide)


def _verdict(record: RunRecord, words: Words) -> str:
    said = verdict_of(record, words)
    lines = "".join(f"<p>{escape(sentence)}</p>" for sentence in said.sentences)
    found = "".join(_finding(finding, words) for finding in record.findings)
    headline = f'<p class="headline">{escape(said.headline)}</p>'
    return f'<div class="card verdict {said.tone}">{headline}{lines}{found}</div>'


def _finding(finding: Mapping[str, Any], words: Words) -> str:
    """Return a finding: what its kind means, and what was found, in the language of the page."""
    kind = str(finding.get("kind"))
    where = []
    if finding.get("layer"):
        where.append(words("in_layer", layer=finding["layer"]))
    if finding.get("step") is not None:
        where.append(words("from_step", step=f"{int(finding['step']):,}"))
    small = f" <small>{escape(_DOT.join(where))}</small>" if where else ""
    rows = "".join(
        f"<dt>{escape(words(name))}</dt>{_sentence(recalled(finding, name), words)}"
        for name in SENTENCES
        if finding.get(name)
    )
    meaning = f"<p>{escape(words.meaning(kind))}</p>" if words.meaning(kind) else ""
    title = escape(words.kind(kind))
    return f'<div class="finding"><h3>{title}{small}</h3>{meaning}<dl>{rows}</dl></div>'


def _sentence(text: Any, words: Words) -> str:
    """Return what a finding says; what was recorded without a template is told to be English."""
    said = words.text(text)
    foreign = ' lang="en"' if words.language != "en" and said == text else ""
    return f"<dd{foreign}>{escape(str(said))}</dd>"


def _learning(record: RunRecord, page: Page) -> str:
    words = page.words
    found: list[str] = []
    for name in charts.metrics_of(record):
        figure = charts.learning_curves(record, name, words)
        if figure is not None:
            title, note = escape(words.metric(name)), escape(words("learning_help"))
            help_ = f'<p class="help">{note}</p>' if not found else ""
            chart = page.chart(figure)
            found.append(f'<div class="card"><h3>{title}</h3>{help_}{chart}</div>')
    figure = charts.learning_rate(record, words)
    if figure is not None:
        title = escape(words("rate"))
        found.append(f'<div class="card"><h3>{title}</h3>{page.chart(figure)}</div>')
    return cards(*found)


def _looked(record: RunRecord, page: Page, names: tuple[str, ...]) -> str:
    """Return the charts of statistics; where nobody looked, say so once."""
    if record.looks is None:
        note = escape(page.words("no_looks"))
        first = names[0] == "gradient_by_depth"
        return f'<div class="card"><p class="help">{note}</p></div>' if first else ""
    looks = record.looks
    return cards(*(_charted(page, n, charts.OF_LOOKS[n](looks, page.words)) for n in names))


def _answers(record: RunRecord, page: Page) -> str:
    words, evaluation = page.words, (record.final or {}).get("evaluation") or {}
    arrays = record.arrays
    found = [
        _charted(page, "confusion", charts_of_ends.confusion(evaluation, words)),
        _charted(page, "regression", charts_of_ends.regression(arrays, words)),
        _charted(page, "residuals", charts_of_ends.residuals(arrays, words)),
    ]
    worst = evaluation.get("worst") or []
    if worst:
        texts = any("text" in error for error in worst)
        items = "".join(_error(error, record, words) for error in worst)
        numbers = evaluation.get("task") == "regression"
        kind = " texts" if texts else " numbers" if numbers else ""
        gallery = f'<ul class="gallery{kind}">{items}</ul>'
        note = words("worst_numbers_help") if numbers else ""
        found.append(card(words, "worst", gallery, numbers, note))
    return cards(*found)


def _error(error: Mapping[str, Any], record: RunRecord, words: Words) -> str:
    """Return a sample that was answered wrongly, as it can be shown."""
    parts = []
    picture = record.arrays.get(str(error.get("picture")))
    what = {"true": _said(error.get("true")), "predicted": _said(error.get("predicted"))}
    if picture is not None:
        parts.append(f'<img src="{uri(png(picture))}" alt="{escape(words("taken_for", **what))}">')
    if error.get("text"):
        parts.append(f'<p class="text">{escape(str(error["text"]))}</p>')
    said = words("taken_for" if "confidence" in error else "off", **what)
    parts.append(f'<p class="said">{escape(said)}</p>')
    small = [] if error.get("row") is None else [words("row_number", row=error["row"])]
    if "confidence" in error:
        small.append(words("confidence", share=f"{float(error['confidence']):.1%}"))
    small += [str(error["file"])] if error.get("file") else []
    parts.append(f'<p class="small">{escape(_DOT.join(small))}</p>')
    return f"<li>{''.join(parts)}</li>"


def _said(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _network(record: RunRecord, page: Page) -> str:
    words, model = page.words, record.about.get("model") or {}
    found = []
    if model.get("svg"):
        # As a picture nothing in it is executed.
        address = uri(str(model["svg"]).encode(), "image/svg+xml")
        drawn = f'<img class="drawn" src="{address}" alt="{escape(words("network"))}">'
        found.append(f'<div class="card"><div class="network scroll">{drawn}</div></div>')
    if model.get("layers"):
        found.append(f'<div class="card">{_layers(model["layers"], words)}</div>')
    filters = "".join(_filters(record))
    if filters:
        found.append(card(words, "filters", filters, wide=True))
    figure = None if record.looks else charts_of_ends.final_histograms(record.arrays, words)
    return cards(*found, _charted(page, "final_histograms", figure, wide=True))


def _layers(layers: list[Mapping[str, Any]], words: Words) -> str:
    heads = ("where", "kind", "shape", "parameters")
    head = "".join(f"<th>{escape(words(name))}</th>" for name in heads[:-1])
    rows = []
    for layer in layers:
        kind = ", ".join(
            str(layer[n])
            for n in ("kind", "activation")
            if layer.get(n) not in (None, "", "linear")
        )
        cells = (layer.get("name"), kind, layer.get("shape"))
        row = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        rows.append(f'<tr>{row}<td class="number">{layer.get("parameters", 0):,}</td></tr>')
    last = f'<th class="number">{escape(words(heads[-1]))}</th>'
    body = "".join(rows)
    table = (
        f'<table class="layers"><thead><tr>{head}{last}</tr></thead><tbody>{body}</tbody></table>'
    )
    return f'<div class="scroll">{table}</div>'


def _filters(record: RunRecord) -> Iterator[str]:
    shape = (record.final or {}).get("filter_shape")
    for name, kernel in record.arrays.items():
        if name.startswith("filters/"):
            picture = tiled_filters(kernel, tuple(shape) if shape else None)
            if picture is not None:
                width = picture.shape[1]
                yield (
                    f'<img class="filters" width="{width}" src="{uri(png(picture))}" '
                    f'alt="{escape(name)}">'
                )


def _costs(record: RunRecord, page: Page) -> str:
    words, final = page.words, record.final or {}
    layers = [{**one, **page.times.get(one["name"], {})} for one in final.get("layers") or []]
    found = [
        _charted(page, "time_by_layer", charts_of_ends.time_by_layer(layers, words)),
        _charted(page, "memory_by_layer", charts_of_ends.memory_by_layer(layers, words)),
    ]
    memory = final.get("memory")
    if memory:
        named = ("weights", "optimizer", "buffers", "scratch", "copy", "total")
        rows = [(words(name), size(int(memory[name]))) for name in named if memory.get(name)]
        title = escape(words("memory"))
        found.append(f'<div class="card wide"><h3>{title}</h3>{_pairs(rows)}</div>')
    return cards(*found)


def _pairs(rows: list[tuple[str, str]]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table class="pairs"><tbody>{lines}</tbody></table>'


def _repeat(record: RunRecord, words: Words) -> str:
    about = record.about
    command = str(about.get("command") or "")
    note = f'<p class="help">{escape(words("repeat_help"))}</p>'
    shown = f"<pre>{escape(command)}</pre>" if command else ""
    tables = [_pairs(rows) for rows in (_trained(about, words), _around(about, words)) if rows]
    held = "".join(f'<div class="card">{table}</div>' for table in tables)
    return f'<div class="card wide">{note}{shown}</div><br><div class="cards">{held}</div>'


def _trained(about: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    training = about.get("training") or {}
    rows = [
        (words("optimizer_named"), _config(training.get("optimizer"))),
        (words("loss_named"), _config(training.get("loss"))),
        (words("metrics"), ", ".join(map(str, training.get("metrics") or ()))),
    ]
    plain = ("batch_size", "epochs", "shuffle", "seed")
    rows += [(words(n), _plain(training[n], words)) for n in plain if training.get(n) is not None]
    settings = about.get("settings") or {}
    rows += [(words("settings"), _config(settings))] if settings else []
    return [(name, value) for name, value in rows if value]


def _around(about: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    clock = about.get("clock")
    rows = []
    if clock:
        rows.append((words("began"), time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(clock))))
    for kind, source in (about.get("data") or {}).items():
        if isinstance(source, Mapping):
            held = kind in ("training", "validation")
            name = f"{words('data')}{_DOT}{words(kind)}" if held else str(kind)
            rows.append((name, _config(source)))
        elif source:
            rows.append((str(kind), str(source)))
    machine = about.get("machine") or {}
    return rows + [_of_machine(str(k), str(v), words) for k, v in machine.items()]


def _of_machine(name: str, value: str, words: Words) -> tuple[str, str]:
    cores = re.fullmatch(r"(\d+) usable of (\d+)", value) if name == "cores" else None
    value = words("cores_of", usable=cores[1], count=cores[2]) if cores else value
    return words(_MACHINE[name]) if name in _MACHINE else name, value


def _plain(value: Any, words: Words) -> str:
    if isinstance(value, bool):
        return words("yes" if value else "no")
    return str(value)


def _config(config: Any) -> str:
    """Return plain data on one line, as it reads best."""
    if not isinstance(config, Mapping):
        return "" if config is None else str(config)
    given = {name: value for name, value in config.items() if value not in (None, "auto")}
    return ", ".join(f"{name} = {_value(value)}" for name, value in given.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = value.get("config")
        named = isinstance(inner, Mapping) and "class_name" in value
        return f"{value['class_name'] if named else ''}({_config(inner if named else value)})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
