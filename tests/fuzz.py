"""Damaged and lying files: each is refused by a ChainruleError, or makes no difference.

    python -m tests.fuzz --count 100000 --seed 0

Case number i of a seed is always the same. A case fails where loading raises anything else, gives
another model though there is a checksum, crashes, takes more than 10 seconds, takes more memory
than twice the file's size and what the model's objects take, or executes, writes or opens anything.
The cases run in forked processes, so that a crash ends one batch and is known by its number.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import pathlib
import random
import select
import signal
import struct
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections import Counter

sys.path.insert(0, os.path.dirname(__file__))  # for `python -m tests.fuzz`, as pytest does

import fuzz_targets as targets
from chainrule.errors import ChainruleError

OBJECTS = 1_500_000  # bytes that the objects of these small models, and those of JSON, may take
LONGEST = 10.0  # seconds of processor time for a case
BATCH = 250
FORBIDDEN = ("exec", "compile", "os.", "subprocess.", "pickle.", "marshal.", "socket.", "ctypes.",
             "shutil.", "import", "cpython.run", "code.__new__", "function.__new__")  # fmt: skip
ALLOWED = ("os.listdir", "os.scandir", "os.mkdir")


class Forbidden(BaseException):
    """Loading did what a file must not make it do."""


class TooLong(BaseException):
    """Loading took too long."""


armed = False


def watch(event: str, arguments: tuple) -> None:
    """Raise where something is executed, or a file is written, while a case is loaded."""
    if not armed:
        return
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise Forbidden(f"open {arguments}")
    if event.startswith(FORBIDDEN) and not event.startswith(ALLOWED):
        raise Forbidden(f"{event} {arguments[:1]}")


def case(
    seed: int, number: int, chosen: list[targets.Target]
) -> tuple[targets.Target, bytes, bool]:
    """Return target and content of a case, and whether a checksum must give the change away."""
    choose = random.Random(f"{seed}/{number}")
    target = chosen[number % len(chosen)]
    content, guarded = target.mutated(choose)
    return target, content, guarded


def outcome(target: targets.Target, content: bytes, guarded: bool, path: pathlib.Path) -> str:
    """Return what loading the content did: ``refused``, ``same``, ``read``, or what went wrong."""
    global armed
    path.write_bytes(content)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    armed = True
    try:
        found = target.load(path)
    except ChainruleError as error:
        result = "refused" if str(error) else "an error without words"
        found = None
    except BaseException as error:
        armed = False
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)
    peak = tracemalloc.get_traced_memory()[1] - before
    if peak > 2 * len(content) + OBJECTS:
        return f"{peak} bytes of memory for a file of {len(content)}"
    if found is None:
        return result
    if target.state(found) == target.original:
        return "same"
    return "another model, though there is a checksum" if guarded else "read"


def alarm(*_: object) -> None:
    """End a case that takes too long."""
    raise TooLong(f"more than {LONGEST} seconds")


def work(seed: int, numbers: range, chosen: list, at: mmap.mmap, folder: str, out: int) -> None:
    """Run cases in this process; say what came of each by lines of JSON."""
    signal.signal(signal.SIGPROF, alarm)
    warnings.simplefilter("ignore")
    path = pathlib.Path(folder) / f"{numbers.start}"
    for target in chosen:  # what is imported and compiled on first use is so before the watch
        outcome(target, target.content, False, path)
    sys.addaudithook(watch)
    tracemalloc.start()
    told: Counter[str] = Counter()
    for number in numbers:
        struct.pack_into("<q", at, 0, number)
        target, content, guarded = case(seed, number, chosen)
        result = outcome(target, content, guarded, path)
        if result in ("refused", "same", "read"):
            told[f"{target.name} {result}"] += 1
        else:
            os.write(out, json.dumps([number, target.name, result]).encode() + b"\n")
    path.unlink(missing_ok=True)
    os.write(out, json.dumps(told).encode() + b"\n")


class Worker:
    """A process that runs a batch of cases."""

    def __init__(self, seed: int, numbers: range, chosen: list, folder: str) -> None:
        self.numbers = numbers
        self.at = mmap.mmap(-1, 8)
        struct.pack_into("<q", self.at, 0, numbers.start)
        self.pipe, out = os.pipe()
        self.text = b""
        self.began = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self.pipe)
                work(seed, numbers, chosen, self.at, folder, out)
                status = 0
            except BaseException as error:
                os.write(2, f"the fuzzer itself: {error!r}\n".encode())
            finally:
                os._exit(status)
        os.close(out)

    def read(self) -> bool:
        """Take what it has said; return whether it has ended."""
        more = os.read(self.pipe, 1 << 16)
        self.text += more
        return not more

    def stuck(self) -> bool:
        """Return whether it has taken longer than its cases may."""
        return time.monotonic() - self.began > LONGEST * 3 + len(self.numbers)

    def ended(self) -> tuple[list[list], Counter[str], range]:
        """Return failures, counts, and the cases that were not run since it crashed."""
        os.close(self.pipe)
        status = os.waitpid(self.pid, 0)[1]
        lines = [json.loads(line) for line in self.text.splitlines()]
        failures = [line for line in lines if isinstance(line, list)]
        counts = Counter(next((line for line in lines if isinstance(line, dict)), {}))
        if status == 0:
            return failures, counts, range(0)
        (number,) = struct.unpack_from("<q", self.at, 0)
        failures.append([number, "?", f"the process ended with status {status}"])
        return failures, counts, range(number + 1, self.numbers.stop)


def run(
    seed: int, numbers: range, chosen: list, jobs: int = 1, say: bool = False
) -> tuple[list[list], Counter[str]]:
    """Run the cases; return those that failed, with what went wrong, and how many did what."""
    batches = [numbers[i : i + BATCH] for i in range(0, len(numbers), BATCH)][::-1]
    failures: list[list] = []
    counts: Counter[str] = Counter()
    workers: list[Worker] = []
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        while batches or workers:
            while batches and len(workers) < jobs:
                workers.append(Worker(seed, batches.pop(), chosen, folder))
            ready = select.select([w.pipe for w in workers], [], [], 1.0)[0]
            for worker in [w for w in workers if w.pipe in ready or w.stuck()]:
                if worker.stuck():
                    os.kill(worker.pid, signal.SIGKILL)
                if not worker.stuck() and not worker.read():
                    continue
                workers.remove(worker)
                wrong, counted, left = worker.ended()
                failures += wrong
                counts += counted
                if left:
                    batches.append(left)
                if say:
                    show(wrong, counts, len(numbers))
    return failures, counts


def show(failures: list[list], counts: Counter[str], count: int) -> None:
    """Print what has failed, and how far it is."""
    for number, name, result in failures:
        print(f"\ncase {number} ({name}): {result}")
    print(f"\r{sum(counts.values()):,} of {count:,}", end="", flush=True)


def main() -> int:
    """Run what the command line asks for; 1 where a case failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--target", help=f"one of {', '.join(targets.NAMES)}")
    parser.add_argument("--case", type=int, help="write the content of this case to a file")
    given = parser.parse_args()
    chosen = targets.make([given.target] if given.target else targets.NAMES)
    if given.case is not None:
        target, content, _ = case(given.seed, given.case, chosen)
        name = f"case-{given.seed}-{given.case}{target.suffix}"
        pathlib.Path(name).write_bytes(content)
        print(f"{name}: {target.name}, {len(content)} bytes")
        target.load(pathlib.Path(name))
        return 0
    began = time.monotonic()
    failures, counts = run(given.seed, range(given.count), chosen, given.jobs, say=True)
    print(f"\n{len(failures)} of {given.count:,} failed in {time.monotonic() - began:.0f} seconds")
    for name in sorted(counts):
        print(f"  {name:24} {counts[name]:,}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
