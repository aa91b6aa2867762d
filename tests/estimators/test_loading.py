"""Files of estimators that are damaged, or lie under a right checksum: refused in one sentence, whatever they say."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, MLPClassifier, MLPRegressor, load, storage

Array = NDArray[Any]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(12, 2))
LABELS = np.array(["a", "b", "cc"])[np.arange(12) % 3]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with all that there can be in a file."""
    path = tmp_path_factory.mktemp("honest") / "model.safetensors"
    net = MLPClassifier((3,), max_iter=2, random_state=0, early_stopping=True, validation_fraction=0.3, dropout=0.1)
    net.fit(X, LABELS)
    net.feature_names_in_ = np.array(["x", "yy"], object)
    net.save(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_every_byte_flipped(honest: Path, path: Path) -> None:
    content = honest.read_bytes()
    path.write_bytes(content)
    with path.open("r+b", buffering=0) as file:
        for place in range(len(content)):
            os.pwrite(file.fileno(), bytes([content[place] ^ (1 << place % 8)]), place)
            refused(path, "expected")
            os.pwrite(file.fileno(), content[place : place + 1], place)
    assert load(path).coefs_[0].tolist() == load(honest).coefs_[0].tolist()


def test_truncated(honest: Path, path: Path) -> None:
    content = honest.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        refused(path, "expected")


Lie = Callable[[dict[str, Any], dict[str, Array]], Any]


def put(*names: str, to: Any) -> Lie:
    """The description says something else there."""

    def lie(described: dict[str, Any], arrays: dict[str, Array]) -> None:
        for name in names[:-1]:
            described = described[name]
        described[names[-1]] = to

    return lie


def array(name: str, to: Any) -> Lie:
    return lambda described, arrays: arrays.update({name: np.asarray(to)})


def without(name: str) -> Lie:
    return lambda described, arrays: described.pop(name, None) or arrays.pop(name)


ORDER, WORDS = np.arange(8, dtype=np.int32), np.zeros(624, np.uint32)
LIES: dict[str, tuple[Lie, str]] = {
    "kind": (put("kind", to="SVC"), "estimator is 'SVC'; expected one of MLPClassifier, MLPRegressor"),
    "other kind": (put("kind", to="MLPRegressor"), "MLPRegressor|unexpected keyword"),
    "kind a list": (put("kind", to=[]), r"estimator is \[\]"),
    "no parameters": (without("parameters"), "lacks 'parameters'"),
    "parameters a list": (put("parameters", to=[]), r"parameters is \[\]; expected names and values"),
    "unknown parameter": (put("parameters", "depth", to=3), "depth"),
    "parameter out of range": (put("parameters", "alpha", to=-1), r"'alpha' .* Got -1"),
    "parameter of two parts": (put("parameters", "alpha", to={}), r"a value has the parts \[\]; expected a tuple"),
    "class_weight of lists": (put("parameters", "class_weight", to={"pairs": [[[], 1]]}), "unhashable"),
    "number a word": (put("parameters", "alpha", to={"number": "much"}), "could not convert"),
    "other activation": (put("parameters", "activation", to="tanh"), r"functions are .*relu.*; expected .*tanh"),
    "activations of lists": (put("parameters", "activation", to=[[]]), "is no checkpoint of fastnn"),
    "output": (put("out_activation_", to="exp"), "out_activation_ is 'exp'; expected one of softmax"),
    "n_iter_": (put("attributes", "n_iter_", to=-1), "n_iter_ is -1; expected an integer of at least 0"),
    "t_": (put("attributes", "t_", to=2**60), "t_ is 1152921504606846976; expected at most"),
    "no t_": (lambda described, arrays: described["attributes"].pop("t_"), "lacks 't_'"),
    "best_loss_": (put("attributes", "best_loss_", to=[1]), "float"),
    "best_loss_ too large": (put("attributes", "best_loss_", to=10**400), "too large"),
    "attributes a list": (put("attributes", to=[]), "is no checkpoint of fastnn"),
    "labels' kind": (put("labels", "kind", to="binary"), "expected .* of 'multiclass'"),
    "labels several": (put("labels", "kind", to="multilabel-indicator"), "classes_ is"),
    "labels sparse": (put("labels", "sparse", to=1), "sparse labels is 1; expected true or false"),
    "no classes": (without("classes_"), "lacks 'classes_'"),
    "classes in disorder": (array("classes_", [2, 1, 0]), r"classes_ is \[2 1 0\] .*; expected \[0 1 2\]"),
    "classes twice": (array("classes_", [0, 1, 1]), "classes_ is"),
    "classes too many": (array("classes_", [0, 1, 2, 3]), "classes_ has 4 classes; expected 3"),
    "classes NaN": (array("classes_", [0, 1, np.nan]), r"classes_ is float64 \(3,\); expected .* finite numbers"),
    "classes of a table": (array("classes_", np.eye(3)), r"classes_ is float64 \(3, 3\); expected a row"),
    "class of no character": (array("classes_", np.full((3, 1), 0xFFFFFFFF, np.uint32)), "classes_ is uint32"),
    "names too few": (array("feature_names_in_", np.full((1, 1), 65, np.uint32)), "has 1 names; expected 2"),
    "names of nothing": (array("feature_names_in_", np.zeros((2, 0), np.uint32)), "feature_names_in_ is uint32"),
    "names of numbers": (array("feature_names_in_", [1.0, 2.0]), "feature_names_in_ is float64"),
    "curve of a table": (array("loss_curve_", np.zeros((2, 2))), "loss_curve_ is float64"),
    "no curve": (without("loss_curve_"), "curves are"),
    "half a validation": (without("validation_scores_"), "curves are"),
    "an array more": (array("../more", [1.0]), "an estimator's array is '../more'; expected one of"),
    "row numbers too large": (
        array("random.order", ORDER + 1),
        "random.order is int32 .*; expected every row's number",
    ),
    "row numbers far away": (array("random.order", ORDER * 2**27), "random.order is"),
    "row numbers negative": (array("random.order", ORDER - 1), "random.order is"),
    "row numbers twice": (array("random.order", ORDER // 2), "random.order is"),
    "row numbers no numbers": (array("random.order", ORDER + 0.0), "random.order is float64"),
    "generator's place": (put("random", "generator", to=[5000, 0, 0.0]), "at 5000 of its words; expected at most 624"),
    "generator's place negative": (put("random", "generator", to=[-1, 0, 0.0]), "random.generator is -1"),
    "generator's place a word": (put("random", "splitting", to=["x", 0, 0.0]), "random.splitting is 'x'"),
    "generator's numbers": (put("random", "generator", to=[1]), "values to unpack"),
    "generator's words": (array("random.generator", WORDS[:9]), r"random.generator is uint32 \(9,\); expected uint32"),
    "generator's kind of words": (array("random.generator", WORDS + 0.0), "random.generator is float64"),
    "no generator": (without("random.generator"), "lacks 'random.generator'"),
    "no random": (without("random"), "lacks 'random'"),
    "dropout's seed": (put("random", "dropout", to=2**70), "random dropout is 11805.*; expected at most 2147483647"),
    "schedule's solver": (put("schedule", "solver", to="sgd"), "schedule's solver is 'sgd'; expected one of adam"),
    "schedule's kind": (put("schedule", "kind", to="cosine"), "schedule's kind is 'cosine'"),
    "schedule's rate": (put("schedule", "learning_rate", to=-1.0), "learning_rate is -1.0; expected a finite number"),
    "schedule a list": (put("schedule", to=[1]), "is no checkpoint of fastnn"),
}


@pytest.mark.parametrize("kind", LIES)
def test_lies(kind: str, honest: Path, path: Path) -> None:
    lie, sentence = LIES[kind]
    checkpoint = storage.load(honest)
    lie(checkpoint.estimator, checkpoint.arrays)
    storage.save(path, checkpoint)
    before = path.read_bytes()
    refused(path, sentence)
    assert path.read_bytes() == before


def test_what_is_right_loads(honest: Path, path: Path) -> None:
    """So that it is not something else that has the lies refused."""
    checkpoint = copy.deepcopy(storage.load(honest))
    storage.save(path, checkpoint)
    assert load(path).classes_.tolist() == ["a", "b", "cc"]
    assert path.read_bytes() == honest.read_bytes()


def test_an_estimator_s_arrays_in_a_network_s_file(path: Path) -> None:
    net = MLP([2, 1, 2])
    storage.save(path, storage.Checkpoint(net.architecture, net._state, arrays={"loss_curve_": np.zeros(1)}))
    refused(path, r"'estimator.loss_curve_' is .*; expected nothing")


@pytest.mark.parametrize("verb", ["evaluate", "predict", "show weights", "export", "train --resume"])
def test_commands_refuse_it(verb: str, honest: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.safetensors").write_bytes(honest.read_bytes())
    more = {"predict": ["rows.csv"], "export": [str(tmp_path / "out.onnx")]}.get(verb, [])
    done = subprocess.run(
        [sys.executable, "-m", "fastnn", *verb.split(), str(run), *more], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "holds an estimator, for fastnn.load; expected a run's checkpoint or an MLP." in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [run]


def test_without_scikit_learn(honest: Path) -> None:
    code = "import sys; sys.modules['sklearn'] = None; import fastnn; fastnn.load(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(honest)], capture_output=True, text=True, check=False)
    assert 'pip install "fastnn-numba[sklearn]"' in done.stderr.splitlines()[-1]


def test_a_regressor_whose_loss_was_changed(path: Path) -> None:
    """It predicts as it was trained, until it is trained again."""
    net = MLPRegressor("poisson", (3,), max_iter=2, random_state=0).fit(X, np.abs(X[:, 0]))
    net.set_params(loss="huber").save(path)
    assert load(path).predict(X).tolist() == net.predict(X).tolist()
