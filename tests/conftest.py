"""What all tests stand on."""

from __future__ import annotations

import random
import signal
import sys
import zlib

import numpy as np
import pytest

from chainrule import executors, seeding

# A shell starts what runs in its background with Ctrl-C ignored, and all that this starts inherits
# that; tests of Ctrl-C would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _drawing():
    """The modules of tests that draw numbers; all are imported before the first test."""
    tests = [m for name, m in [*sys.modules.items()] if name.startswith("test_")]
    return [module for module in tests if hasattr(module, "RANDOM")]


@pytest.fixture(autouse=True)
def _same_draws(request, _drawing):
    """A test draws the same numbers each time, whatever ran before it in this process."""
    seed = zlib.crc32(request.node.nodeid.encode())
    seeding._begin(seeding._DEFAULT, chosen=False)
    random.seed(seed)  # from which Keras draws its seeds
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    for module in _drawing:
        module.RANDOM = np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def _same_threads():
    """A test runs on as many threads as it would alone; the memory of a step depends on it."""
    before = executors.num_threads()
    yield
    executors.set_num_threads(before)
