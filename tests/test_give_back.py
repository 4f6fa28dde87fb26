"""What planning took goes back to the system before training begins."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import pytest

from chainrule.executors import native
from chainrule.layers import Dense, Input
from chainrule.models import Sequential


def resident() -> int:
    """Bytes of this process's own memory that are there."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others give back by themselves")
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux")
def test_freed_memory_goes_back() -> None:
    pieces = [np.ones(8192) for _ in range(1000)]  # 64 MB, of the size that is kept
    held = pieces[::100]
    before = resident()
    del pieces
    native.give_back_freed()
    assert before - resident() > 50e6
    assert all((piece == 1).all() for piece in held)


def test_a_step_that_is_built_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr(native, "give_back_freed", lambda: calls.append(None))
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((10, 2)), np.zeros((10, 1))
    model.fit(x, y, batch_size=5, verbose=0)
    built = len(calls)
    model.fit(x, y, batch_size=5, verbose=0)
    assert built >= 1 and len(calls) == built
