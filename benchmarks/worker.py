"""A process of one peer: ``python -m benchmarks.worker PEER``, spoken with in lines of JSON.

Each peer has a process of its own, so that its threads, memory and environment touch no other's;
all but the one that is being timed wait for input.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from . import memory, rows
from .peers import PEERS, Peer

_tasks: dict[str, Peer] = {}


def main() -> None:
    """Answer requests until the input ends."""
    # What a framework prints must not come between the answers.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        entry = PEERS[sys.argv[1]]
        for line in sys.stdin:
            request = json.loads(line)
            answer = _REQUESTS[request.pop("do")](entry.load, **request)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _load(adapter: Callable[[], Any], row: str, steps: int | None, losses: int) -> Any:
    """Make the peer ready for a row; the losses of its first steps."""
    _tasks.clear()
    task = rows.task(rows.by_name(row), steps)
    _tasks["current"] = peer = adapter()(task)
    first = peer.losses(losses)
    peer.epoch()  # what is compiled or allocated at first is so before the first burst
    return {"losses": first, "steps": task.steps}


def _burst(_: Callable[[], Any], seconds: float) -> Any:
    """After one to wake up, epochs for at least so many seconds; how many, and the seconds."""
    peer, epochs = _tasks["current"], 0
    peer.epoch()
    begin = time.perf_counter()
    elapsed = 0.0
    while not epochs or elapsed < seconds:
        peer.epoch()
        epochs += 1
        elapsed = time.perf_counter() - begin
    return {"epochs": epochs, "seconds": elapsed}


def _cold(adapter: Callable[[], Any], row: str) -> Any:
    """The seconds of a new model's first step where the peer is imported already."""
    task, build = rows.task(rows.by_name(row), 1), adapter()
    begin = time.perf_counter()
    build(task).losses(1)
    return time.perf_counter() - begin


def _memory(adapter: Callable[[], Any], row: str, after: str | None) -> Any:
    """The bytes by which training raises the memory above its data; ``after`` that of a row, whose
    training touched what a process touches once, without the code that is read then."""
    build = adapter()
    if after:
        build(rows.task(rows.by_name(after), 4)).epoch()
    task = rows.task(rows.by_name(row))
    before, code = memory.reset_peak(), memory.code()
    peer = build(task)
    for _ in range(2):
        peer.epoch()
    beside = peer.copied(task.x) if hasattr(peer, "copied") else 0
    if after:
        beside += memory.code() - code
    return memory.peak() - before - beside if before else None


_REQUESTS: dict[str, Callable[..., Any]] = {
    "load": _load,
    "burst": _burst,
    "cold": _cold,
    "memory": _memory,
}

if __name__ == "__main__":
    main()
