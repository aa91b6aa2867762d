"""Curves on a terminal: drawn in place, no wider than it is, and right."""

import io
import math
import re
import sys

import pytest

from fastnn.history import History
from fastnn.live import Live
from fastnn.progress import make_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(written: str, width: int) -> list[str]:
    """The lines that a terminal shows after it got all this."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[\d*[FJ]|\n|\r)", written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            lines[row] = ""
        elif part.endswith("F") and part.startswith("\x1b"):
            row -= int(part[2:-1])
        elif part == "\x1b[J":
            lines = [*lines[:row], ""]
        else:
            lines[row] += part
            assert len(lines[row]) < width
    return lines


@pytest.mark.parametrize("width", [140, 80, 40])
def test_curves_are_drawn_in_place(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, history = Terminal(), History()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("fastnn.live.SHARE", math.inf)
    progress = make_progress(8, 10, verbose=True, live=True)
    assert isinstance(progress, Live)
    progress.message("compiling")
    for epoch in range(8):
        progress.advance(10 * epoch + 5, History([0.7], [0.5]))
        for values, value in ((history.loss, 1 / (epoch + 1)), (history.accuracy, 1 - 0.5 / (epoch + 1))):
            values.append(value)
        history.val_loss.append(1.1 / (epoch + 1))
        history.seconds.append(float(epoch))
        progress.epoch(history)
    progress.close()
    lines = screen(terminal.getvalue(), width)
    assert sum("epoch 8/8 100%" in line for line in lines) == 1
    assert sum("(loss, dotted: validation)" in line for line in lines) == 1
    assert any("accuracy" in line and "(loss" in line for line in lines) == (width >= 80)
    assert sum(any("⠀" <= letter <= "⣿" for letter in line) for line in lines) >= 10
    assert 14 <= len(lines) <= 20
    axis = next(line for line in lines if re.match(" +[|] +1 ", line))
    assert all(number.isdigit() for number in axis.replace("|", "").split()), axis  # epochs are whole
    levels = [float(found[1]) for line in lines if (found := re.match(r" +([-\d.]+) \|", line))]
    assert (levels[0], levels[-1]) == (1.1, 0.125)  # the figures' own range: no loss is below zero
    assert any("93.75% |" in line for line in lines) == (width >= 80)
    assert any("accuracy 93.75%" in line for line in lines) == (width >= 80)


def test_nothing_is_drawn_before_there_are_two_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    live = Live(3, 10)
    assert live.curves(History([1.0], [0.5]), 80) == []
    live.close()


def test_many_epochs_are_drawn_as_fast_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as many of them as there is room for, the last among them."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    live, drawn = Live(3, 10), []
    monkeypatch.setattr(live.plotille.Figure, "plot", lambda figure, x, y: drawn.append((x, y)))
    for epochs in (100, 12345):
        live.curves(History(list(map(float, range(epochs)))), 80)
    live.close()
    for (x, y), epochs in zip(drawn, (100, 12345), strict=True):
        assert x[-1] == epochs
        assert 64 <= len(x) <= 128
        assert [epoch - 1.0 for epoch in x] == y


def test_elsewhere_it_is_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    progress = make_progress(2, 10, verbose=True, live=True)
    progress.epoch(History([0.5], seconds=[1.0]))
    assert capsys.readouterr().out == "epoch 1/2  loss 0.5000  1.00 s\n"


@pytest.mark.parametrize("height", [8, 10, 15, 24])
def test_it_fits_on_the_screen(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has left it at the top cannot be drawn over."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", str(height))
    live = Live(3, 10)
    lines = live.curves(History([1.0, 0.5, 0.2], [0.5, 0.6, 0.7]), 80)
    live.close()
    assert len(lines) < height
    assert (len(lines) > 0) == (height > 8)
