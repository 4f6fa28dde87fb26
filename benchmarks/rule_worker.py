"""A process that runs optimizers: ``python -m benchmarks.rule_worker chainrule|torch``."""

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

from . import rules

MODULES = {"chainrule": "ours_rules", "torch": "pytorch_rules"}
_held: dict[str, Any] = {}


def main() -> None:
    """Answer requests until the input ends."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what a framework prints must not come between the answers
        peer = import_module(f"benchmarks.peers.{MODULES[sys.argv[1]]}")
        for line in sys.stdin:
            request = json.loads(line)
            answer = _REQUESTS[request.pop("do")](peer, **request)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _variants(peer: Any, rule: str) -> list[str]:
    """The ways in which the peer can run a rule."""
    return list(peer.variants(rules.by_title(rule)))


def _load(peer: Any, rule: str, size: str, variant: str, runs: int) -> Any:
    """Make a rule ready; some of the weights after so many runs."""
    _held.clear()
    _held["current"] = current = peer.load(rules.by_title(rule), size, variant)
    for _ in range(runs):
        current.run()
        if hasattr(current, "again"):
            current.again()
    return {"weights": current.weights(), "steps": current.steps}


def _burst(_: Any, seconds: float) -> Any:
    """Runs for so many seconds; those of one, by the clock of the wall and of the processor."""
    current, count = _held["current"], 0
    current.run()
    begin, busy, elapsed = time.perf_counter(), time.process_time(), 0.0
    while not count or elapsed < seconds:
        current.run()
        count += 1
        elapsed = time.perf_counter() - begin
    return {"wall": elapsed / count, "busy": (time.process_time() - busy) / count}


_REQUESTS = {"variants": _variants, "load": _load, "burst": _burst}

if __name__ == "__main__":
    main()
