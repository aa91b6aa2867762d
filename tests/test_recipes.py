"""The recipes' networks, and the rows that each trains and measures on."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from fastnn.commands.settings import Settings
from fastnn.recipes import RECIPES, hold_out

m, K = 50000, 3
X = np.arange(m * K, dtype=np.float32).reshape(m, K)
y = np.arange(m) % 10
X_test, y_test = X[:100] + 0.5, y[:100]


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("zero-logistic", ((), "sigmoid", "normal:0.01", False, 1.0, 2000)),
        ("zero-sigmoid64", ((64,), "sigmoid", "normal:1", False, 1.0, 2000)),
        ("digits-sigmoid64", ((64,), "softmax", "normal:1", False, 1.0, 2000)),
        ("digits-relu10", ((10,), "softmax", "uniform:0.5", True, 0.1, 500)),
        ("digits-relu10-41k", ((10,), "softmax", "uniform:0.5", True, 0.1, 500)),
        ("digits-relu10-long", ((10,), "softmax", "uniform:1", True, 0.25, 3000)),
    ],
)
def test_networks(name: str, network: tuple[object, ...]) -> None:
    settings = Settings(**RECIPES[name].settings())
    assert network == (
        settings.hidden,
        settings.output,
        settings.init,
        settings.init_biases,
        settings.learning_rate,
        settings.epochs,
    )
    assert (settings.optimizer, settings.batch_size, settings.dtype) == ("sgd", None, "float32")
    assert settings.activation == ("relu" if "relu" in name else "sigmoid") or not settings.hidden


@pytest.mark.parametrize(
    ("name", "trained", "measured", "evaluated"),
    [
        ("digits-sigmoid64", m, 100, "test"),
        ("digits-relu10", m - 1000, 1000, "held-out"),
        ("digits-relu10-41k", 41000, 1000, "held-out"),
        ("digits-relu10-long", m, 100, "test"),
    ],
)
def test_rows(name: str, trained: int, measured: int, evaluated: str) -> None:
    rows = RECIPES[name].prepare(X, y, X_test, y_test, seed=0)
    assert (len(rows.X_train), len(rows.X_evaluate), rows.evaluated) == (trained, measured, evaluated)
    assert (len(rows.y_train), len(rows.y_evaluate)) == (trained, measured)


@pytest.mark.parametrize("name", ["zero-logistic", "zero-sigmoid64"])
def test_zero_or_not(name: str) -> None:
    rows = RECIPES[name].prepare(X, y, X_test, y_test, seed=0)
    assert rows.X_train is X
    np.testing.assert_array_equal(rows.y_train, y == 0)
    np.testing.assert_array_equal(rows.y_evaluate, y_test == 0)


def test_training_rows_are_measured_on_where_there_are_no_others() -> None:
    rows = RECIPES["zero-logistic"].prepare(X, y, None, None, seed=0)
    assert rows.evaluated == "training"
    assert rows.X_evaluate is X


def test_held_out_rows_are_the_others_with_their_labels() -> None:
    kept, kept_y, held, held_y = hold_out(X, y, 1000, seed=3)
    first = np.concatenate([kept[:, 0], held[:, 0]]).astype(int) // K
    np.testing.assert_array_equal(np.sort(first), np.arange(m))
    np.testing.assert_array_equal(np.concatenate([kept_y, held_y]), first % 10)


def test_choice_is_random_and_follows_the_seed() -> None:
    chosen = [hold_out(X, y, 1000, seed=seed, rows=42000) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(chosen[0][2], chosen[1][2])
    assert not np.array_equal(chosen[0][2], chosen[2][2])
    assert len(set(chosen[0][3].tolist())) == 10


def test_rows_are_copied_once_at_most() -> None:
    data, labels = np.zeros((20000, 784), dtype=np.uint8), np.zeros(20000, dtype=np.int64)
    tracemalloc.start()
    kept = hold_out(data, labels, 1000, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(kept[0]) == 19000
    assert peak < 1.1 * data.nbytes
    assert hold_out(data, labels, 0, seed=0)[0] is data


@pytest.mark.parametrize(("held_out", "rows"), [(10, None), (11, None), (0, 11), (5, 5)])
def test_too_few_rows(held_out: int, rows: int | None) -> None:
    with pytest.raises(ValueError, match=r"The data has 10 training rows; expected at least (6|11|12)"):
        hold_out(X[:10], y[:10], held_out, seed=0, rows=rows)


def test_recipe_can_hold_out_more() -> None:
    recipe = replace(RECIPES["zero-logistic"], held_out=5000)
    rows = recipe.prepare(X, y, X_test, y_test, seed=0)
    assert (len(rows.X_train), len(rows.X_evaluate), rows.evaluated) == (m - 5000, 5000, "held-out")
    np.testing.assert_array_equal(rows.y_evaluate, (rows.X_evaluate[:, 0].astype(int) // K % 10) == 0)
