"""How a run went, in words: what a doctor has found, else what its curves show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.callbacks.monitor import Monitor
from chainrule.insight.record import RunRecord
from chainrule.insight.words import Words

_FEWEST = 5  # epochs from which curves say something
_FLAT = 0.02  # the share by which a loss has to fall to be called learning
_RISE = 0.1  # of the validation's fall, which it has to give back to be called overfitting
_FALL = 0.05  # of all of the fall, in the last fifth, to be called still learning
_ACTIVE = ("running", "paused")


@dataclass(frozen=True)
class Verdict:
    """A headline, sentences below it, and how bad it is: ``good``, ``fair``, ``bad`` or
    ``open``."""

    tone: str
    headline: str
    sentences: tuple[str, ...]


def verdict_of(record: RunRecord, words: Words) -> Verdict:
    """Return how the run went.

    Parameters
    ----------
    record : RunRecord
        With findings or without, ended or not.
    words : Words
        Of the language.
    """
    tone, headline, why = _judged(record, words)
    sentences = [*why, *_best(record, words), *_measured(record, words), *_state(record, words)]
    return Verdict(tone, headline, tuple(sentences))


Judged = tuple[str, str, list[str]]
Curve = Mapping[int, float]  # a number by the epoch, from 0, in which it was measured


def _judged(record: RunRecord, words: Words) -> Judged:
    count = len(record.findings)
    if record.state == "failed":
        message = str((record.final or {}).get("message", ""))
        return "bad", words("was_failed", message=message), []
    if count:
        return "bad", words("found_one" if count == 1 else "found_many", count=count), []
    loss, held = _curve(record, "loss"), _curve(record, "val_loss")
    if not loss:
        return "open", words("nothing_yet"), []
    lost = [epoch for epoch, value in loss.items() if not math.isfinite(value)]
    if lost:
        return "bad", words("not_finite", epoch=lost[0] + 1), [words("not_finite_why")]
    held = {epoch: held[epoch] for epoch in loss if math.isfinite(held.get(epoch, math.nan))}
    return _by_curves(record, loss, held, words)


def _curve(record: RunRecord, name: str) -> Curve:
    return {int(e["epoch"]): e["logs"][name] for e in record.epochs if name in e["logs"]}


def _by_curves(record: RunRecord, loss: Curve, held: Curve, words: Words) -> Judged:
    """Return what finite curves show."""
    values = [*loss.values()]
    if len(values) >= _FEWEST and values[0] > 0 and min(values) > (1 - _FLAT) * values[0]:
        why = words("flat_why", first=_number(values[0]), last=_number(values[-1]))
        return "bad", words("flat"), [why]
    if len(held) >= _FEWEST and (epoch := _turn(loss, held)) is not None:
        return _overfitted(record, loss, held, epoch, words)
    curve, name = (held, "val_loss") if len(held) >= _FEWEST else (loss, "loss")
    return _fallen([*curve.values()], words.metric(name), record.state in _ACTIVE, words)


def _fallen(values: Sequence[float], name: str, active: bool, words: Words) -> Judged:
    """Return how the numbers of a curve, which is called `name`, fell."""
    if len(values) < _FEWEST:
        return "open", words("short_fall" if values[-1] < values[0] else "too_short"), []
    if (share := _last_fall(values)) > _FALL:
        key = "falling" if active else "still_falling"
        return "fair", words(key), [words(f"{key}_why", name=name, share=f"{share:.0%}")]
    first, last = _number(values[0]), _number(values[-1])
    return "good", words("healthy"), [words("healthy_why", name=name, first=first, last=last)]


def _overfitted(record: RunRecord, loss: Curve, held: Curve, epoch: int, words: Words) -> Judged:
    """Return that a run overfitted from an epoch on; where its end took it back there, that."""
    best, last = _number(held[epoch]), _number([*held.values()][-1])
    restored = (record.final or {}).get("restored")
    if restored is None or _turn(_until(restored, loss), _until(restored, held)) is not None:
        why = words("overfits_why", best=best, last=last)
        return "fair", words("overfits", epoch=epoch + 1), [why]
    why = words("restored_why", epoch=epoch + 1, best=best, last=last)
    return "good", words("restored", epoch=restored + 1), [why]


def _until(last: int, curve: Curve) -> Curve:
    return {epoch: value for epoch, value in curve.items() if epoch <= last}


def _turn(loss: Curve, held: Curve) -> int | None:
    """Return the epoch from which validation rises while training falls; ``None`` for none."""
    if not held:
        return None
    best, first, last = min(held, key=held.__getitem__), min(held), max(held)
    if best == last or (best == first and held[best] <= 0):
        return None
    fallen = max(held[first] - held[best], 0.1 * abs(held[best]))
    risen = held[last] - held[best]
    return best if risen > _RISE * fallen and loss[last] < loss[best] else None


def _last_fall(values: Sequence[float]) -> float:
    """Return by which share of its value a curve fell over the last fifth of its epochs."""
    before = values[-1 - max(1, len(values) // 5)]
    return (before - values[-1]) / abs(before) if before else 0.0


def _best(record: RunRecord, words: Words) -> list[str]:
    """Return the best epoch by what was held out, else by training."""
    found = best_of(record)
    if found is None:
        return []
    name, epoch, value = found
    facts = {"epoch": epoch + 1, "epochs": record.epochs[-1]["epoch"] + 1}
    return [words("best_epoch", name=words.metric(name), value=_number(value), **facts)]


def best_of(record: RunRecord) -> tuple[str, int, float] | None:
    """Return name, epoch and value of the best number of the history: a metric of the validation
    where there is one."""
    history = record.history
    names = [n for n in history if n not in ("learning_rate", "skipped")]
    held = [n for n in names if n.startswith("val_")] or names
    chosen = next((n for n in held if n.removeprefix("val_") != "loss"), held[0] if held else None)
    if chosen is None:
        return None
    values, better = history[chosen], Monitor(chosen)
    places = [i for i, value in enumerate(values) if math.isfinite(value)]
    if not places:
        return None
    best = places[0]
    for i in places:
        best = i if better.better(values[i], values[best]) else best
    return chosen, record.epochs[best]["epoch"], values[best]


def _measured(record: RunRecord, words: Words) -> list[str]:
    """Return what was measured at the end."""
    found = (record.final or {}).get("evaluation")
    if not found:
        return []
    numbers = [
        f"{said} {_number(float(found[name]))}"
        for name, said in (
            ("accuracy", words.metric("accuracy")),
            ("r2", "R\u00b2"),
            ("rmse", "RMSE"),
            ("mae", "MAE"),
        )
        if found.get(name) is not None
    ]
    part = words(found["part"] if found.get("part") in ("test", "validation") else "training")
    count = f"{int(found.get('samples', 0)):,}"
    return [words("measured", count=count, part=part, numbers=", ".join(numbers))]


def _state(record: RunRecord, words: Words) -> list[str]:
    """Return how the run ended, where that was not by itself."""
    said = {"interrupted": "was_interrupted", "running": "is_running", "paused": "is_paused"}
    return [words(said[record.state])] if record.state in said else []


def _number(value: float) -> str:
    return f"{value:.4g}"
