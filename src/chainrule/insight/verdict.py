"""How a run went, in words: what a doctor has found, else what its curves show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.callbacks.monitor import Monitor
from chainrule.insight.record import RunRecord
from chainrule.insight.words import Words

_FEWEST = 5  # epochs from which curves say something
_FLAT = 0.02  # the share by which a loss has to fall to be called learning
_RISE = 0.1  # of the validation's fall, which it has to give back to be called overfitting
_FALL = 0.05  # of all of the fall, in the last fifth, to be called still learning


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


def _judged(record: RunRecord, words: Words) -> Judged:
    count = len(record.findings)
    if record.state == "failed":
        message = str((record.final or {}).get("message", ""))
        return "bad", words("was_failed", message=message), []
    if count:
        return "bad", words("found_one" if count == 1 else "found_many", count=count), []
    history = record.history
    loss, held = history.get("loss", []), history.get("val_loss", [])
    if not loss:
        return "open", words("nothing_yet"), []
    lost = [i for i, value in enumerate(loss) if not math.isfinite(value)]
    if lost:
        return "bad", words("not_finite", epoch=lost[0] + 1), [words("not_finite_why")]
    return _by_curves(loss, [v for v in held if math.isfinite(v)], words)


def _by_curves(loss: Sequence[float], held: Sequence[float], words: Words) -> Judged:
    """Return what finite curves show."""
    first, last = _number(loss[0]), _number(loss[-1])
    if len(loss) >= _FEWEST and loss[0] > 0 and min(loss) > (1 - _FLAT) * loss[0]:
        return "bad", words("flat"), [words("flat_why", first=first, last=last)]
    if len(held) >= _FEWEST and (epoch := _turn(loss, held)) is not None:
        best, end = _number(held[epoch]), _number(held[-1])
        why = words("overfits_why", best=best, last=end)
        return "fair", words("overfits", epoch=epoch + 1), [why]
    curve, name = (held, "val_loss") if len(held) >= _FEWEST else (loss, "loss")
    said = words.metric(name)
    if len(curve) >= _FEWEST and (share := _last_fall(curve)) > _FALL:
        why = words("still_falling_why", name=said, share=f"{share:.0%}")
        return "fair", words("still_falling"), [why]
    if len(curve) < _FEWEST:
        return "open", words("short_fall" if curve[-1] < curve[0] else "too_short"), []
    first, last = _number(curve[0]), _number(curve[-1])
    return "good", words("healthy"), [words("healthy_why", name=said, first=first, last=last)]


def _turn(loss: Sequence[float], held: Sequence[float]) -> int | None:
    """Return the epoch from which validation rises while training falls; ``None`` for none."""
    best = min(range(len(held)), key=held.__getitem__)
    if best == len(held) - 1 or (best == 0 and held[0] <= 0):
        return None
    fallen = max(held[0] - held[best], 0.1 * abs(held[best]))
    risen = held[-1] - held[best]
    learning = loss[-1] < loss[min(best, len(loss) - 1)]
    return best if risen > _RISE * fallen and learning else None


def _last_fall(curve: Sequence[float]) -> float:
    """Return by which share of its value a curve fell over the last fifth of its epochs."""
    before = curve[-1 - max(1, len(curve) // 5)]
    return (before - curve[-1]) / abs(before) if before else 0.0


def _best(record: RunRecord, words: Words) -> list[str]:
    """Return the best epoch by what was held out, else by training."""
    found = best_of(record)
    if found is None:
        return []
    name, epoch, value = found
    epochs = len(record.epochs)
    facts = {"value": _number(value), "epoch": epoch + 1, "epochs": epochs}
    return [words("best_epoch", name=words.metric(name), **facts)]


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
    part = words(found["part"]) if found.get("part") in ("test", "validation") else "training"
    count = f"{int(found.get('samples', 0)):,}"
    return [words("measured", count=count, part=part, numbers=", ".join(numbers))]


def _state(record: RunRecord, words: Words) -> list[str]:
    """Return how the run ended, where that was not by itself."""
    said = {"interrupted": "was_interrupted", "running": "is_running", "paused": "is_paused"}
    return [words(said[record.state])] if record.state in said else []


def _number(value: float) -> str:
    return f"{value:.4g}"
