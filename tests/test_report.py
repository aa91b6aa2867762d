"""Confusion matrix and class report against counts made one row at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from fastnn.report import class_report, confusion_matrix, format_matrix, format_report


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """True labels (m,), predicted labels (m,) and a number of classes."""
    classes = draw(st.integers(1, 12))
    labels = st.integers(0, classes - 1)
    pairs = draw(st.lists(st.tuples(labels, labels), max_size=60))
    return [true for true, _ in pairs], [predicted for _, predicted in pairs], classes


@given(labelled())
def test_matrix_counts_pairs(case: tuple[list[int], list[int], int]) -> None:
    true, predicted, classes = case
    naive = np.zeros((classes, classes), dtype=np.int64)
    for row, column in zip(true, predicted, strict=True):
        naive[row, column] += 1
    matrix = confusion_matrix(np.array(true, dtype=np.uint8), np.array(predicted), classes)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, naive)


@given(labelled())
def test_report_counts_by_class(case: tuple[list[int], list[int], int]) -> None:
    true, predicted, classes = case
    for label, row in enumerate(class_report(confusion_matrix(true, predicted, classes))):
        right = sum(t == p == label for t, p in zip(true, predicted, strict=True))
        assert row.support == true.count(label)
        assert row.recall == (right / true.count(label) if label in true else 0.0)
        assert row.precision == (right / predicted.count(label) if label in predicted else 0.0)
        both = row.precision + row.recall
        assert row.f1 == pytest.approx(2 * row.precision * row.recall / both if both else 0.0)


@pytest.mark.parametrize(
    ("true", "predicted", "sentence"),
    [
        ([0, 1], [0], "y_pred has 1 labels; expected 2"),
        ([0, 3], [0, 1], "y_true holds 3; expected labels from 0 to 2."),
        ([0, 1], [0, -1], "y_pred holds -1; expected labels from 0 to 2."),
        ([0, 0.5], [0, 1], r"y_true holds 0\.5; expected labels from 0 to 2\."),
        ([[0], [1]], [0, 1], r"y_true has shape \(2, 1\); expected one label for each row."),
    ],
)
def test_strange_labels_are_refused(true: ArrayLike, predicted: ArrayLike, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        confusion_matrix(true, predicted, 3)


def matrix_of(classes: int) -> NDArray[np.int64]:
    """Different counts, among them zeros and large ones."""
    return np.arange(classes * classes).reshape(classes, classes) ** 2 % 10007 * (np.arange(classes) % 3 > 0)


@pytest.mark.parametrize("classes", [2, 10, 11, 40])
def test_text_is_aligned_and_complete(classes: int) -> None:
    matrix = matrix_of(classes)
    lines = format_matrix(matrix).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [line.split(" | ")[0].strip() for line in lines] == ["true", *map(str, range(classes))]
    cells = [line.split(" | ")[1].replace(".", "0").split() for line in lines]
    np.testing.assert_array_equal(np.array(cells, dtype=np.int64), [list(range(classes)), *matrix.tolist()])
    assert len({len(line) for line in format_report(class_report(matrix)).splitlines()}) == 1


def test_text_of_two_classes() -> None:
    matrix = confusion_matrix([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], 2)
    assert format_matrix(matrix) == "true | 0 1\n   0 | 2 1\n   1 | . 2"
    assert format_report(class_report(matrix)).splitlines() == [
        "class  precision  recall      F1  support",
        "    0     1.0000  0.6667  0.8000        3",
        "    1     0.6667  1.0000  0.8000        2",
    ]
