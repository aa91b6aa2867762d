"""`fastnn warmup`: afterwards nothing has to be compiled."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastnn.warmup import main

AFTER = """
import numpy as np
from fastnn import MLP
from fastnn.kernels import cache

compiled = []
X, y = np.arange(600, dtype="{kind}").reshape(60, 10) % 7, np.arange(60) % 3
net = MLP([10, 5, 3], dtype="{dtype}")
cache._announce = compiled.append
for batch_size in (16, None):
    for sparse in (True, False):
        net.fit(X, y, epochs=2, batch_size=batch_size, sparse=sparse, validation=(X, y), verbose=False)
net.predict(X)
net.predict_proba(X[:1])
print(compiled)
"""


@pytest.mark.parametrize(("kind", "dtype"), [("uint8", "float32"), ("float64", "float64"), ("int16", "float32")])
def test_nothing_is_compiled_afterwards(kind: str, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["seconds"] > 0
    assert Path(told["folder"]).is_dir()
    code = AFTER.format(kind=kind, dtype=dtype)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "[]\n"


def test_it_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "they are kept in " in capsys.readouterr().out
