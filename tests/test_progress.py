"""What is shown while training: lines through a pipe, a bar in a terminal, and nothing when that is asked for."""

import io
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import MLP
from fastnn.bar import REFRESH_SECONDS, Bar, Lines, Silent
from fastnn.history import History
from fastnn.live import Live
from fastnn.progress import make_progress
from fastnn.workers import POLL_SECONDS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def trained(epochs: int, validation: bool = False, accuracy: bool = True) -> History:
    """A history of so many epochs."""
    values = [0.0812] * epochs
    shares = [0.9761] * epochs if accuracy else []
    seconds = [1.24 * (epoch + 1) for epoch in range(epochs)]
    return History(values, shares, values * validation, shares * validation, seconds)


def run(epochs: int, rows: int = 10) -> None:
    """Drive what make_progress gives as `fit` does."""
    progress = make_progress(epochs, rows, verbose=True)
    progress.message("compiling")
    for epoch in range(1, epochs + 1):
        progress.advance(epoch * rows - rows // 2, None)
        progress.epoch(trained(epoch, validation=True))
    progress.close()


def in_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called from the test itself, for pytest puts its own stderr back after fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    run(3)
    out, err = capsys.readouterr()
    figures = "loss 0.0812  accuracy 97.61%  val_loss 0.0812  val_accuracy 97.61%"
    assert out.splitlines() == [
        "compiling",
        f"epoch 1/3  {figures}  1.24 s",
        f"epoch 2/3  {figures}  2.48 s",
        f"epoch 3/3  {figures}  3.72 s",
    ]
    assert err == ""


def test_figures_without_accuracy_and_far_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines(12)
    progress.epoch(History(loss=[123456.0], seconds=[0.5]))
    progress.epoch(History(loss=[1.0, 0.0], seconds=[0.5, 1.0]))
    assert capsys.readouterr().out.splitlines() == [
        "epoch  1/12  loss 1.235e+05  0.50 s",
        "epoch  2/12  loss 0.000e+00  1.00 s",
    ]


def test_bar_shows_epoch_figures_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = in_terminal(monkeypatch)
    run(3)
    last = terminal.getvalue().rstrip().split("\r")[-1]
    assert "epoch 3/3 100%" in last
    assert "rows/s" in last
    assert "left" in last
    assert last.endswith("loss 0.0812  accuracy 97.61%  val_loss 0.0812  val_accuracy 97.61%")
    assert capsys.readouterr().out == ""


def test_bar_counts_rows_and_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch)
    monkeypatch.setattr("fastnn.bar.REFRESH_SECONDS", 0.0)
    bar = Bar(epochs=3, rows=10)
    bar.advance(4, None)
    assert (bar.bar.n, bar.bar.desc) == (4, "epoch 1/3")
    bar.advance(10, None)
    assert (bar.bar.n, bar.bar.desc) == (10, "epoch 2/3")
    bar.epoch(trained(3))
    assert (bar.bar.n, bar.bar.desc) == (30, "epoch 3/3")
    bar.close()


def test_bar_can_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_terminal(monkeypatch)
    bar = Bar(epochs=3, rows=10)
    bar.advance(4, None)
    bar.close()
    assert terminal.getvalue().endswith("\n")


def test_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = in_terminal(monkeypatch)
    progress = make_progress(2, 10, verbose=False)
    progress.message("compiling")
    progress.advance(5, None)
    progress.epoch(trained(1))
    progress.close()
    assert isinstance(progress, Silent)
    assert terminal.getvalue() == capsys.readouterr().out == ""


def test_lines_where_there_is_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert isinstance(make_progress(2, 10, verbose=True), Lines)


def test_the_bar_is_redrawn_four_times_a_second_even_within_a_long_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fit` calls every POLL_SECONDS, with as many rows as before while a step takes long."""
    terminal = in_terminal(monkeypatch)
    bar, began = Bar(epochs=3, rows=10), time.perf_counter()
    drawn = terminal.getvalue().count("\r")
    while time.perf_counter() - began < 0.6:
        bar.advance(4, None)
        time.sleep(POLL_SECONDS)
    assert terminal.getvalue().count("\r") - drawn >= 4 * 0.6
    bar.close()


def test_the_bar_shows_the_running_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_terminal(monkeypatch)
    bar = Bar(epochs=3, rows=10)
    bar.epoch(trained(1, validation=True))
    time.sleep(REFRESH_SECONDS)
    bar.advance(15, History([0.5], [0.75]))
    bar.close()
    assert "epoch 2/3" in terminal.getvalue()
    assert "loss 0.5000  accuracy 75.00%  val_loss 0.0812  val_accuracy 97.61%" in terminal.getvalue()


@pytest.mark.parametrize(("columns", "figures"), [(60, 1), (80, 2), (101, 3), (140, 4)])
def test_no_figure_is_cut_in_two(columns: int, figures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_terminal(monkeypatch)
    bar = Bar(epochs=15, rows=12345)
    bar.bar.dynamic_ncols = lambda file: (columns, 24)
    bar.advance(1, None)
    bar.epoch(trained(3, validation=True))
    bar.close()
    *_, last = terminal.getvalue().split("\r")
    shown = ["loss 0.0812", "accuracy 97.61%", "val_loss 0.0812", "val_accuracy 97.61%"]
    assert last.rstrip().endswith(" left, " + "  ".join(shown[:figures]))
    assert len(last.rstrip("\n")) <= columns


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_the_running_epoch_s_figures_are_means(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever they are looked at: the sums of a step are added when it is counted, not when they are known."""
    monkeypatch.setattr("fastnn.workers.POLL_SECONDS", 0.0001)
    seen: list[tuple[int, History]] = []

    class Seeing(Silent):
        def advance(self, rows: int, running: History | None) -> None:
            if running is not None:
                seen.append((rows, running))

    monkeypatch.setattr("fastnn.mlp.make_progress", lambda *_: Seeing())
    m = 3200
    X, y = np.random.default_rng(0).normal(size=(m, 100)), np.zeros(m, int)
    net = MLP([100, 512, 2], backend=backend, init="uniform:0")
    net.fit(X, y, batch_size=64, optimizer="adam", learning_rate=1e-30, epochs=2)
    assert seen
    for rows, running in seen:
        assert 0 < rows < 2 * m
        assert running.val_loss == []
    # A step may end between the look at its number and that at its losses, which makes few of the means too large.
    losses = np.array([running.loss[0] for _, running in seen])
    assert np.mean(np.isclose(losses, np.log(2), rtol=1e-5)) > 0.9
    assert np.mean([running.accuracy == [1.0] for _, running in seen]) > 0.9


# --- what it costs


@pytest.mark.parametrize(
    ("kind", "rows", "epochs", "most"), [(Bar, 20000, 60, 0.01), (Bar, 200, 20000, 0.01), (Live, 20000, 200, 0.03)]
)
def test_it_costs_less_than_a_hundredth_of_training(
    kind: type[Bar], rows: int, epochs: int, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is redrawn four times a second, also where epochs are as short as can be. CPU seconds by CPU seconds, so that
    neighbours count for little; the best of three, for they count for something. Of a fit as short as this one, the
    first and the last picture of --live are a hundredth by themselves."""
    spent: list[float] = []
    within: list[str] = []

    def timed(name: str) -> Callable[..., Any]:
        work = getattr(kind, name)

        def measured(*arguments: Any) -> Any:
            within.append(name)
            began = time.thread_time()
            try:
                return work(*arguments)
            finally:
                within.pop()
                if not within:
                    spent.append(time.thread_time() - began)

        return measured

    rng = np.random.default_rng(0)
    X, y = rng.random((rows, 50), np.float32), rng.integers(0, 10, rows)
    MLP([50, 32, 10]).fit(X, y, epochs=1, batch_size=64, threads=1, verbose=False)  # compiles
    for name in {"message", "redraw", "curves", "_draw", "close"} & {*dir(kind)}:
        monkeypatch.setattr(kind, name, timed(name))
    monkeypatch.setattr("fastnn.mlp.make_progress", lambda epochs, rows, verbose: kind(epochs, rows))
    shares, rates = [], []
    while len(shares) < 3 and (min(shares, default=1.0) >= most or max(rates) < 4):
        terminal = in_terminal(monkeypatch)
        spent.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        MLP([50, 32, 10]).fit(X, y, epochs=epochs, batch_size=64, threads=1)
        shares.append(sum(spent) / (time.process_time() - cpu))
        rates.append(len(spent) / (time.perf_counter() - wall))
        assert f"epoch {epochs}/{epochs} 100%" in terminal.getvalue()
    assert min(shares) < most
    assert max(rates) >= 4


class Closed(io.StringIO):
    """A stream whose reader is gone."""

    def __init__(self, terminal: bool, error: Exception) -> None:
        super().__init__()
        self.terminal, self.error = terminal, error

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("I/O on closed file")])
def test_training_goes_on_where_nobody_reads(terminal: bool, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed(terminal, error))
    monkeypatch.setattr(sys, "stderr", Closed(terminal, error))
    net = MLP([4, 3], backend="numpy")
    net.fit(np.ones((8, 4)), np.zeros(8, int), epochs=3)
    assert net.epochs == 3


def test_a_stream_of_somebody_else_s(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (object(), closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert isinstance(make_progress(3, 10, verbose=True), Lines)
