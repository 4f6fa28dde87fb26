"""Rules on the curve of the loss: steps too large or too small, no progress, ups and downs.

That a rate is too high or too low is tried out: from the weights that the run began with, at the
rate it has and at those that a range test suggests (Smith, "Cyclical learning rates", arXiv
1506.01186, section 3.3). The limits say by how much it must be better to be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.evidence import LEARNT, STUCK, Evidence
from chainrule.insight.trials import STEPS, Trials
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

_APART = 5.0  # times: rates nearer to each other than this serve as well
_LOWERED = 4.0  # times: the first rate over the mean; half a cosine has 2, a fall to a tenth 2.6
_FAIL_APART = 2.0  # the same, where the loss runs off with one of them
_BETTER = 0.8  # of the run's last loss: what a trial must come below to be better
_SLOW = 0.3  # of the way to no loss: a run that came as far is not too slow
_MOVED = 0.1  # of their norm: weights that moved farther were not held back by the rate
_STAYED = 1e-2  # of their norm: weights that moved less do not make the loss go up and down
_FALLEN = 0.02  # of the loss of knowing nothing: more than the noise of a trial's last steps
_CREPT = 0.03  # of the fall at a better rate: one that falls more is slow, but on its way
_PATIENCE = 60  # steps before nothing learnt is held against a network
_FALLING = 0.01  # of the loss of knowing nothing: what falls by more in half of the epochs goes on
_FEWEST = 6  # epochs by which ups and downs are told from chance
_SWING = 0.05  # of the loss: rises that are in the mean below this do no harm
_WILD = 0.3  # of the loss of knowing nothing: rises that sum up to more do not come by chance
_FLOOR = 0.1  # of the loss of knowing nothing: below it, ups and downs are those of small numbers


def on_loss(e: Evidence) -> Iterator[Finding]:
    """Yield what the curve of the loss tells of the learning rate, and where it stands still."""
    yield from _rate(e)
    yield from _oscillation(e)
    yield from _still(e)


def _rate(e: Evidence) -> Iterator[Finding]:
    trials = e.trials
    if trials is None or not len(e.losses) or e.learns:
        return
    if trials.rate == 0 and not e.moved > 0:
        yield _no_rate()
        return
    best = _best(e, trials) if trials.possible else None
    if best is None:
        return
    rate, mine = best[0], trials.end(trials.rate)
    apart = _APART if math.isfinite(mine) else _FAIL_APART
    if rate * apart < trials.rate and _worse(e, mine, best[1]):
        yield _verdict(e, trials, rate, "high", trials.rate)
    else:
        yield from _too_low(e, trials, best)


def _too_low(e: Evidence, trials: Trials, best: tuple[float, float]) -> Iterator[Finding]:
    """Yield that the rate is too low, or was soon lowered too far: then its mean counts."""
    if e.moved > _MOVED or e.progress > _SLOW:
        return
    rate, end = best
    mine = trials.end(trials.rate)
    if rate > _APART * trials.rate and _ends_lower(e, mine, end) and _creeps(trials, mine, end):
        yield _verdict(e, trials, rate, "low", trials.rate)
        return
    rates = e.case.curve("learning_rate")  # where callbacks set it
    mean = float(rates.mean()) if len(rates) else trials.mean(e.steps)
    lowered = 0 < _LOWERED * mean < trials.rate and rate > _APART * mean
    if lowered and _ends_lower(e, trials.end(mean), end):
        found = _verdict(e, trials, rate, "low", mean)
        yield _lowered(found, trials.rate, len(rates) > 0)


def _ends_lower(e: Evidence, mine: float, end: float) -> bool:
    """Return whether the trial with another rate ends lower. Where nothing has moved, any fall will
    do: the trial is short."""
    stayed = e.moved < _STAYED
    last = float(e.losses[-1])
    return _worse(e, mine, end) or (stayed and end < min(last, mine) - _FALLEN * _level(e))


def _level(e: Evidence) -> float:
    """Return the loss that differences are measured by."""
    return max(abs(e.chance), 1e-12) if math.isfinite(e.chance) else abs(float(e.losses[-1]))


def _worse(e: Evidence, mine: float, end: float) -> bool:
    """Return whether the trial with another rate ends below both the whole run and the trial, of
    as many steps, with its own."""
    bar, last = end + (1 - _BETTER) * _level(e), float(e.losses[-1])
    return not (last <= bar or mine <= bar) and end < _BETTER * e.chance


def _best(e: Evidence, trials: Trials) -> tuple[float, float] | None:
    """Return the best rate that was tried, and its loss: much higher ones too, where nothing has
    moved."""
    found = [trials.best, trials.higher() if e.moved < _STAYED else None]
    return min((one for one in found if one is not None), key=lambda one: one[1], default=None)


def _lowered(found: Finding, first: float, called_back: bool) -> Finding:
    """Return the finding with a schedule or callbacks for its cause."""
    better = found.numbers["better_rate"]
    return replace(
        found,
        cause=said(
            "it is lowered too soon: from {rate:.3g} in the first steps to {mean:.3g} in the mean "
            "of the run",
            rate=first,
            mean=found.numbers["learning_rate"],
        ),
        remedy=said("set the learning rate to about {rate:g}, and lower it later", rate=better)
        if called_back
        else said(
            "set the learning rate to about {rate:g}, and lower it later: schedules count "
            "batches, not epochs",
            rate=better,
        ),
    )


def _creeps(trials: Trials, mine: float, end: float) -> bool:
    """Return whether the loss of a trial falls next to nothing, beside how far it could."""
    still = trials.end(0.0)
    return still - mine < _CREPT * (still - end)


def _verdict(e: Evidence, trials: Trials, rate: float, how: str, own: float) -> Finding:
    mine, end = trials.end(own), trials.end(rate)
    ends = {"rate": own, "mine": mine, "better": rate, "end": end}
    return Finding(
        f"learning_rate_too_{how}",
        None,
        _tried(e, trials, ends),
        said("set the learning rate to about {rate:g}", rate=rate),
        0,
        _why_too(how, e.ratio),
        {"optimizer.learning_rate": rate},
        {
            "learning_rate": own,
            "loss": mine,
            "better_rate": rate,
            "better_loss": end,
            "ratio": e.ratio,
        },
    )


def _tried(e: Evidence, trials: Trials, ends: dict[str, float]) -> Said:
    """Return how a trial with the rate of the run ended, and how one with a better rate."""
    known = {"loss": e.losses[-1], "nothing": e.nothing, "steps": STEPS, **ends}
    if not math.isfinite(ends["mine"]):
        off = trials.losses(ends["rate"])
        return said(
            "the mean loss of the last epoch is {loss:.4g}, and {nothing}; from the same weights "
            "the loss runs off within {ran} steps with the rate {rate:.3g}, and {steps} steps end "
            "at {end:.3g} with {better:.3g}",
            ran=STEPS if off is None else len(off) + 1,
            **known,
        )
    return said(
        "the mean loss of the last epoch is {loss:.4g}, and {nothing}; {steps} steps from the "
        "same weights end at a loss of {mine:.3g} with the rate {rate:.3g}, and at {end:.3g} "
        "with {better:.3g}",
        **known,
    )


def _why_too(how: str, ratio: float) -> Said:
    """Return what a rate that is too high or too low does; `ratio` is NaN where it is not known."""
    cause = (
        said("each step goes beyond the valley, and the loss rises or jumps about")
        if how == "high"
        else said("each step is so small that the weights hardly move")
    )
    if not math.isfinite(ratio):
        return cause
    # Karpathy, notes of the course CS231n ("Neural networks, part 3: ratio of updates").
    return said(
        "{cause}: in the median by {ratio:.1e} of their norm; about 1e-3 is usual",
        cause=cause,
        ratio=ratio,
    )


def _no_rate() -> Finding:
    rate = 0.001
    return Finding(
        "learning_rate_too_low",
        None,
        said("the learning rate is 0, so that no weight moves"),
        said("set the learning rate to e.g. {rate}", rate=rate),
        0,
        said("a schedule or a callback has lowered it, or it was given as 0"),
        {"optimizer.learning_rate": rate},
        {"learning_rate": 0.0},
    )


def _oscillation(e: Evidence) -> Iterator[Finding]:
    """Yield that the loss goes up about as much as it goes down, or once rose far."""
    first = max(2, len(e.losses) // 4)
    losses = np.asarray(e.losses, np.float64)
    if len(losses) - first < _FEWEST or not np.isfinite(losses).all() or not e.chance > 0:
        return
    for begin, wild in ((first, False), (1, True)):
        part = losses[begin:]
        steps = np.diff(part)
        rises, falls = float(steps[steps > 0].sum()), float(-steps[steps < 0].sum())
        mean = rises / len(steps)
        swing = mean / float(part.mean())
        enough = rises > _WILD * e.chance if wild else swing > _SWING and rises > 0.5 * falls
        high = part.mean() > _FLOOR * e.chance
        far = not e.moved < _STAYED and mean > _noise(e) * float(part.mean())
        if enough and high and far:
            yield _swinging(e, part, begin, (rises, falls, swing))
            return


def _swinging(
    e: Evidence, losses: Array, begin: int, numbers: tuple[float, float, float]
) -> Finding:
    rises, falls, swing = numbers
    return Finding(
        "oscillation",
        None,
        said(
            "in the last {epochs} epochs the loss rose by {rises:.3g} in all and fell by "
            "{falls:.3g}; in the mean it is {mean:.3g}",
            epochs=len(losses),
            rises=rises,
            falls=falls,
            mean=losses.mean(),
        ),
        said("lower the learning rate or the momentum, or take larger batches"),
        begin * e.per_epoch,
        said("steps go beyond the valley and back"),
        _lower(e),
        {"rises": rises, "falls": falls, "swing": swing},
    )


def _noise(e: Evidence) -> float:
    """Return by what share the mean loss of an epoch may go up and down by chance, where nothing is
    learnt: 0 where that is not known."""
    losses = None if e.trials is None else e.trials.losses(0.0)
    if losses is None or not len(losses) or not losses.mean() > 0:
        return 0.0
    return float(losses.std() / losses.mean() / math.sqrt(max(e.per_epoch, 1)))


def _lower(e: Evidence) -> dict[str, float] | None:
    if e.trials is None or not e.trials.rate > 0:
        return None
    best = e.trials.best
    lower = best[0] if best is not None and best[0] < e.trials.rate else e.trials.rate / 10
    return {"optimizer.learning_rate": lower}


def _still(e: Evidence) -> Iterator[Finding]:
    """Yield that next to nothing was learnt."""
    if e.steps < _PATIENCE or len(e.losses) < 2 or e.diverged or not e.stuck:
        return
    falling = e.losses[len(e.losses) // 2 - 1] - e.losses[-1]
    if not falling < _FALLING * e.chance:
        return
    yield Finding(
        "loss_not_decreasing",
        None,
        said(
            "after {epochs} epochs the loss is {loss:.4g}, and {nothing}",
            epochs=len(e.losses),
            loss=e.losses[-1],
            nothing=e.nothing,
        ),
        said(
            "see that x and y belong together and that the weights that should learn are "
            "trainable; then train longer, or with a network that fits the data better"
        ),
        0,
        said(
            "no single one was found: neither rate nor weights nor signals are far from the usual"
        ),
        None,
        {"loss": float(e.losses[-1]), "chance": e.chance, "limit": STUCK, "learnt": LEARNT},
    )
