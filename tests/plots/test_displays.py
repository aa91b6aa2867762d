"""Displays keep scikit-learn's contract, and show what they were given."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from fastnn import MLP, History
from fastnn.plots import (
    ConfusionMatrixDisplay,
    CurvesDisplay,
    MistakesDisplay,
    SamplesDisplay,
    TuningDisplay,
    WeightsDisplay,
)
from fastnn.plots.images import equal_parts, image_shape

X = np.random.default_rng(0).integers(0, 256, size=(60, 16)).astype(np.uint8)
y = np.arange(60) % 3
NET = MLP([16, 20, 3], backend="numpy")
HISTORY = History([1.0, 0.5], [0.6, 0.8], [1.1, 0.7], [0.5, 0.7], [1.0, 2.0])


class Other:
    """What scikit-learn's estimators look like."""

    coefs_ = NET.weights
    predict, predict_proba = NET.predict, NET.predict_proba


MAKERS: dict[str, Callable[..., Any]] = {
    "confusion": lambda **how: ConfusionMatrixDisplay.from_estimator(NET, X, y, **how),
    "confusion of predictions": lambda **how: ConfusionMatrixDisplay.from_predictions(y, NET.predict(X), **how),
    "loss": lambda **how: CurvesDisplay.from_history(HISTORY, **how),
    "accuracy": lambda **how: CurvesDisplay.from_history(HISTORY, metric="accuracy", **how),
    "mistakes": lambda **how: MistakesDisplay.from_estimator(NET, X, y, count=3, **how),
    "mistakes of another": lambda **how: MistakesDisplay.from_estimator(Other, X, y, count=3, **how),
    "no mistakes": lambda **how: MistakesDisplay.from_estimator(NET, X, NET.predict(X), **how),
    "samples": lambda **how: SamplesDisplay.from_data(X, y, count=4, **how),
    "samples with predictions": lambda **how: SamplesDisplay.from_estimator(NET, X, y, count=4, **how),
    "tuning": lambda **how: TuningDisplay({"lr 1": [[0.5, 0.6], [0.4, 0.7]]}, "val_accuracy").plot(**how),
    "weights": lambda **how: WeightsDisplay.from_estimator(NET, count=4, **how),
    "weights of another": lambda **how: WeightsDisplay.from_estimator(Other, count=7, **how),
    "weights of no images": lambda **how: WeightsDisplay.from_estimator(MLP([5, 3], backend="numpy"), **how),
}


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


@pytest.mark.parametrize("name", MAKERS)
def test_scikit_learn_s_contract(name: str) -> None:
    display = MAKERS[name]()
    assert display.ax_.figure is display.figure_
    assert display.figure_ in map(pyplot.figure, pyplot.get_fignums())
    _, (left, right) = pyplot.subplots(1, 2)
    again = MAKERS[name](ax=right)
    assert again.ax_ is right
    assert display.plot(ax=left) is display
    assert display.ax_ is left
    assert len(left.get_children()) == len(right.get_children())


@pytest.mark.parametrize("name", MAKERS)
def test_files_and_svg(name: str, tmp_path: Path) -> None:
    display = MAKERS[name]()
    figures = pyplot.get_fignums()
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        path = display.save(tmp_path / f"picture.{kind}")
        assert path.read_bytes().startswith(start)
    first = [(tmp_path / f"picture.{kind}").read_bytes() for kind in ("png", "pdf", "svg")]
    assert [display.save(tmp_path / f"again.{kind}").read_bytes() for kind in ("png", "pdf", "svg")] == first
    svg = display.svg()
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert svg == display.svg()
    assert pyplot.get_fignums() == figures  # nothing is left with pyplot


def texts(display: Any) -> list[str]:
    return [text.get_text() for text in display.ax_.texts]


def test_confusion_counts() -> None:
    display = ConfusionMatrixDisplay.from_predictions([0, 0, 1, 2, 2], [0, 1, 1, 2, 2])
    assert texts(display) == ["1", "1", "1", "2"]
    assert not texts(ConfusionMatrixDisplay.from_predictions(np.arange(30), np.arange(30)))


@pytest.mark.parametrize(
    "classes", [np.array(["cat", "dog", "eel"]), np.array([-1, 1, 7]), np.array([0, 2, 3]), np.array([0.5, 1.5, 2.5])]
)
def test_classes_of_any_kind(classes: Any) -> None:
    """As of scikit-learn's classifiers, which predict their own `classes_`."""

    class Named:
        classes_ = classes
        predict_proba = staticmethod(NET.predict_proba)
        predict = staticmethod(lambda rows: classes[NET.predict(rows)])

    plain = MistakesDisplay.from_estimator(NET, X, y, count=4).mistakes
    named = MistakesDisplay.from_estimator(Named, X, classes[y], count=4).mistakes
    for with_number, with_name in zip(plain, named, strict=True):
        assert with_name.true == classes[with_number.true]
        assert with_name.predicted == classes[with_number.predicted]
        assert with_name[3:] == with_number[3:]
    counts = ConfusionMatrixDisplay.from_estimator(NET, X, y).matrix
    for display in (
        ConfusionMatrixDisplay.from_estimator(Named, X, classes[y]),
        ConfusionMatrixDisplay.from_predictions(classes[y], Named.predict(X)),
    ):
        if display.names is not None:
            np.testing.assert_array_equal(display.matrix, counts)
            assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == [str(name) for name in classes]
        else:  # whole numbers from 0: those that are no classes have empty rows
            np.testing.assert_array_equal(display.matrix[np.ix_(classes, classes)], counts)
    for display_of in (ConfusionMatrixDisplay, MistakesDisplay):
        with pytest.raises(ValueError, match="y holds 9; expected one of the classes"):
            display_of.from_estimator(Named, X, np.full(60, 9))
        with pytest.raises(ValueError, match="y has shape"):
            display_of.from_estimator(Named, X, np.eye(3)[y])


@pytest.mark.parametrize(("N", "largest"), [(3, 100), (20, 9999), (20, 99999), (20, 10**8), (22, 5), (60, 5)])
def test_counts_fit_into_their_cells(N: int, largest: int) -> None:
    display = ConfusionMatrixDisplay(np.full((N, N), largest)).plot()
    display.figure_.canvas.draw()
    cell = display.ax_.transData.transform((1, 0))[0] - display.ax_.transData.transform((0, 0))[0]
    for text in display.ax_.texts[:3]:
        assert text.get_window_extent().width < cell
    ticks = [tick for axis in (display.ax_.xaxis, display.ax_.yaxis) for tick in axis.get_ticklocs()]
    assert ticks == [round(tick) for tick in ticks]


def test_mistakes_are_the_worst_with_their_probabilities() -> None:
    display = MistakesDisplay.from_estimator(NET, X, y, count=5)
    probabilities, wrong = NET.predict_proba(X), np.flatnonzero(NET.predict(X) != y)
    worst = wrong[np.argsort(probabilities[wrong, y[wrong]])][:5]
    assert [mistake.row for mistake in display.mistakes] == worst.tolist()
    first = worst[0]
    most = int(probabilities[first].argmax())
    expected = f"{most}  {probabilities[first].max():.0%}\nis {y[first]}  {probabilities[first, y[first]]:.0%}"
    assert texts(display)[0] == expected
    np.testing.assert_array_equal(display.ax_.images[0].get_array(), X[first].reshape(4, 4))


def test_samples_name_what_is_predicted_otherwise() -> None:
    found = texts(SamplesDisplay.from_estimator(NET, X, y, count=12))
    pairs = zip(y[:12], NET.predict(X[:12]), strict=True)
    assert found == [f"{a}" if a == b else f"{a} → {b}" for a, b in pairs]


def test_sparse_rows_and_tables() -> None:
    """What `predict` takes is drawn, too."""
    sparse, pandas = pytest.importorskip("scipy.sparse"), pytest.importorskip("pandas")
    features = np.where(X > 100, X, 0)
    dense = SamplesDisplay.from_estimator(NET, features, y, count=5)
    worst = MistakesDisplay.from_estimator(NET, features, y, count=5)
    for rows in (sparse.csr_matrix(features), sparse.coo_matrix(features), pandas.DataFrame(features)):
        for display in (SamplesDisplay.from_estimator(NET, rows, y, count=5), SamplesDisplay.from_data(rows, y)):
            np.testing.assert_array_equal(display.images[:5], dense.images)
        np.testing.assert_array_equal(MistakesDisplay.from_estimator(NET, rows, y, count=5).images, worst.images)


def test_titles_have_room() -> None:
    assert texts(SamplesDisplay.from_data(X[:2], [2.805878028592989, 1 / 3])) == ["2.806", "0.3333"]
    display = SamplesDisplay.from_data(X[:3], ["a very long name", "a_$1 and $2", "$\\frac$"])
    assert texts(display) == ["a very long…", "a_$1 and $2", "$\\frac$"]
    display.svg()  # nothing is taken for mathematics


def test_grey_means_the_same_in_all_images() -> None:
    def limits(images: Any) -> list[Any]:
        return [image.get_clim() for image in SamplesDisplay(np.array(images), ["", ""]).plot().ax_.images]

    black, white = np.zeros((4, 4)), np.ones((4, 4))
    assert limits([black, white]) == [(0, 1), (0, 1)]
    assert limits([black, black]) == [(0, 1), (0, 1)]
    assert limits([-2 * white, 3 * white]) == [(-2, 3), (-2, 3)]
    assert limits(np.uint8([100 * white, 120 * white])) == [(0, 255), (0, 255)]


def test_one_epoch_has_one_tick() -> None:
    for display in (CurvesDisplay([1.0], []).plot(), TuningDisplay({"a": [[0.5]]}, "val_loss", {"a": 4}).plot()):
        (x,) = display.ax_.lines[0].get_xdata()
        low, high = display.ax_.get_xlim()
        assert [tick for tick in display.ax_.get_xticks() if low <= tick <= high] == [x]
    features = WeightsDisplay.from_estimator(MLP([3, 2], backend="numpy")).ax_.get_yticks()
    assert features.tolist() == [round(tick) for tick in features]
    _, ax = pyplot.subplots()
    ax.set_xscale("log")
    CurvesDisplay([1.0, 0.5], []).plot(ax)


def test_weights_are_the_largest_units() -> None:
    display = WeightsDisplay.from_estimator(NET, count=3)
    assert display.units == np.argsort(-np.linalg.norm(NET.weights[0], axis=0))[:3].tolist()
    np.testing.assert_array_equal(display.ax_.images[0].get_array(), NET.weights[0][:, display.units[0]].reshape(4, 4))


def test_curves_hold_the_history() -> None:
    assert len(CurvesDisplay(np.array([1.0, 0.5]), np.array([])).plot().ax_.lines) == 1
    display = CurvesDisplay.from_history(HISTORY, metric="accuracy")
    assert [line.get_ydata().tolist() for line in display.ax_.lines] == [[0.6, 0.8], [0.5, 0.7]]
    assert [line.get_xdata().tolist() for line in display.ax_.lines] == [[1, 2], [1, 2]]
    with pytest.raises(ValueError, match="metric is 'speed'; expected one of loss, accuracy"):
        CurvesDisplay.from_history(HISTORY, metric="speed")
    with pytest.raises(ValueError, match='metric is "accuracy", of which the history knows nothing'):
        CurvesDisplay.from_history(History([1.0], [], [], [], [1.0]), metric="accuracy")


def test_none_are_asked_for() -> None:
    with pytest.raises(ValueError, match="count is 0; expected an integer of at least 1"):
        MistakesDisplay.from_estimator(NET, X, y, count=0)
    with pytest.raises(ValueError, match="There are no rows; expected at least one"):
        SamplesDisplay.from_data(X[:0], [])


def test_tuning_shows_mean_and_range() -> None:
    display = TuningDisplay({"a": [[0.5, 0.6], [0.4, 0.8]], "b": [[0.1, 0.2]]}, "val_loss").plot()
    np.testing.assert_allclose(display.ax_.lines[0].get_ydata(), [0.45, 0.7])
    band = display.ax_.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.4, 0.8)
    assert (display.ax_.get_xlabel(), display.ax_.lines[0].get_xdata().tolist()) == ("epoch", [1, 2])


def test_all_settings_are_drawn_and_the_best_are_named() -> None:
    display = TuningDisplay({f"lr {i}": [[0.5, 0.5]] for i in range(40)}, "val_loss").plot()
    legend = display.ax_.get_legend()
    assert len(display.ax_.lines) == 40
    assert [text.get_text() for text in legend.get_texts()] == [f"lr {i}" for i in range(12)]
    assert legend.get_title().get_text() == "the best 12 of 40"
    looks = {(line.get_linestyle(), line.get_marker(), line.get_color()) for line in display.ax_.lines}
    assert len(looks) == 13


def test_tuning_counts_iterations() -> None:
    """Settings with batches of several sizes are drawn where they are after as many steps."""
    display = TuningDisplay({"a": [[0.5, 0.6]], "b": [[0.1, 0.2]]}, "val_loss", {"a": 10, "b": 5}).plot()
    assert display.ax_.get_xlabel() == "iteration"
    assert [line.get_xdata().tolist() for line in display.ax_.lines] == [[10, 20], [5, 10]]


def test_shapes() -> None:
    assert image_shape(784) == (28, 28)
    assert image_shape(12, (3, 4)) == (3, 4)
    for wrong in ((12,), (12, (5, 5))):
        with pytest.raises(ValueError, match="Rows have 12 features; expected a square from 16"):
            image_shape(*wrong)
    assert SamplesDisplay.from_data(np.zeros((2, 12)), [0, 1], shape=(3, 4)).images.shape == (2, 3, 4)
    assert equal_parts(5, 2) == [slice(0, 2), slice(2, 5)]
    assert equal_parts(1, 2) == [slice(0, 1)]


def test_parts_are_all_of_it() -> None:
    mistakes = MistakesDisplay.from_estimator(NET, X, y, count=7)
    for display in (SamplesDisplay.from_data(X, y), WeightsDisplay.from_estimator(NET), mistakes):
        parts = display.parts(2, columns=4)
        whole = display.plot()
        drawn = [image.get_array() for part in parts for image in part.plot().ax_.images]
        np.testing.assert_array_equal(drawn, [image.get_array() for image in whole.ax_.images])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"drawing needs matplotlib: pip install 'fastnn-numba\[plot\]'"):
        CurvesDisplay([1.0], []).save(tmp_path / "picture.png")
