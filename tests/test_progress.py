"""Progress: what a terminal, a notebook and a log file are shown, and how much of it."""

import contextlib
import io
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from chainrule.errors import ArgumentError
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from chainrule.training import progress as shown
from chainrule.training.progress import Log, Notebook, Progress, mode_of

X, Y = np.zeros((64, 4), "float32"), np.zeros((64, 1), "float32")


def model():
    network = Sequential([Input((4,)), Dense(1)])
    network.compile("sgd", "mse")
    return network


class Kernel:
    """Stands for IPython with a kernel: notes what is displayed and how often."""

    def __init__(self, monkeypatch, stdout=True):
        self.texts, self.displays = [], 0
        shell = types.SimpleNamespace(kernel=object())
        parts = types.ModuleType("IPython.display")
        parts.display = self.display
        top = types.ModuleType("IPython")
        top.get_ipython, top.display = lambda: shell, parts
        monkeypatch.setitem(sys.modules, "IPython", top)
        monkeypatch.setitem(sys.modules, "IPython.display", parts)
        if stdout:
            self.stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
            monkeypatch.setattr(sys, "stdout", self.stream)

    def display(self, data, raw, display_id):
        assert raw and display_id
        self.displays += 1
        self.update(data, raw)
        return self

    def update(self, data, raw):
        self.texts.append(data["text/plain"])


def test_a_notebook_has_one_output_with_the_last_epochs(monkeypatch):
    kernel = Kernel(monkeypatch)
    assert mode_of("auto") == mode_of(1) == 1 and mode_of(2) == 2 and mode_of(0) == 0
    model().fit(X, Y, epochs=30, batch_size=8)
    assert kernel.displays == 1
    lines = kernel.texts[-1].splitlines()
    assert lines[0] == "... 20 before" and len(lines) == 11
    assert lines[1].startswith("epoch 21/30") and lines[-1].startswith("epoch 30/30")
    assert kernel.stream.getvalue() == ""


def test_many_short_epochs_are_few_messages(monkeypatch):
    kernel = Kernel(monkeypatch)
    now = [0.0]
    monkeypatch.setattr(shown.time, "perf_counter", lambda: now[0])
    screen = Notebook()
    for epoch in range(1000):
        now[0] += 0.001
        screen.leave(f"epoch {epoch}")
    screen.close()
    assert len(kernel.texts) <= 12
    assert kernel.texts[-1].endswith("epoch 999")


def test_the_live_line_of_a_notebook_goes_away(monkeypatch):
    kernel = Kernel(monkeypatch)
    now = [5.0]
    monkeypatch.setattr(shown.time, "perf_counter", lambda: now[0])
    with Progress(1, title="predict") as progress:
        progress.begin(0, 100, 10)
        progress.update(1, {})
        assert kernel.texts == []  # what is over in a moment leaves no output
        now[0] += 1.0
        progress.update(3, {})
    assert "3/10 batches" in kernel.texts[0]
    assert kernel.texts[-1] == ""


def test_output_that_a_kernel_did_not_take_is_a_log(monkeypatch, capsys):
    kernel = Kernel(monkeypatch, stdout=False)
    model().fit(X, Y, epochs=2)
    assert kernel.texts == []
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    Kernel(monkeypatch)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: object())
    assert not shown.in_notebook()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert not shown.in_notebook()


def test_a_log_gets_a_line_an_epoch_and_no_control_characters(capsys):
    model().fit(X, Y, epochs=3, batch_size=8)
    out = capsys.readouterr().out
    assert [line[:9] for line in out.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert {c for c in out if not c.isprintable()} == {"\n"}


def test_a_log_gets_a_line_a_minute_in_a_long_epoch(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(shown.time, "perf_counter", lambda: now[0])
    with Progress(2, epochs=2) as progress:
        progress.begin(0, 1000, 10)
        for done in range(1, 100):
            now[0] += 3.0
            progress.update(done, {"loss": 1.0})
        progress.end({"loss": 0.5})
        assert progress.live  # the next one is long too
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 5
        assert lines[0] == "epoch 1/2   20/100 batches  3 samples/s  4:00 left  loss 1"
        now[0] += 5.0
        progress.begin(1, 10, 10)
        progress.end({})
        assert not progress.live


def test_what_is_counted_instead_of_batches_has_no_rate(capsys):
    with Progress(2, title="search", counted="sizes") as progress:
        progress.begin(0, 8, 1)
        progress.end({}, done=5)
    assert capsys.readouterr().out.startswith("search  5/5 sizes  0.00 s")


def test_silence(capsys):
    with Progress(0) as progress:
        progress.begin(0, 8, 1)
        progress.update(1, {})
        progress.end({})
    assert capsys.readouterr().out == "" and not progress.live


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_other_values_of_verbose_are_refused(verbose):
    with pytest.raises(ArgumentError, match="verbose"):
        mode_of(verbose)


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are of POSIX")
def test_a_real_terminal_is_redrawn_in_place():
    import pty

    program = (
        "import numpy as np\n"
        "from chainrule.layers import Dense, Input\n"
        "from chainrule.models import Sequential\n"
        "m = Sequential([Input((4,)), Dense(1)])\n"
        "m.compile('sgd', 'mse')\n"
        "m.fit(np.zeros((64, 4)), np.zeros((64, 1)), epochs=2)\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs) as process:
        os.close(theirs)
        parts = []
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            while part := os.read(ours, 65536):
                parts.append(part)
    os.close(ours)
    assert process.returncode == 0
    text = b"".join(parts).decode()
    assert "epoch 1/2" in text and "epoch 2/2" in text
    assert "\x1b[2K" in text  # the live line is wiped out, not left standing


def test_closing_a_log_prints_nothing(capsys):
    Log().close()
    assert capsys.readouterr().out == ""
