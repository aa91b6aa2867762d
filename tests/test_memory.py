"""Files larger than memory: what is allocated must not grow with the rows."""

import subprocess
import sys
from pathlib import Path

import pytest

# Rows of zeros that take no room on the disk, but for three behind the first 2**31 bytes, which one weight must learn
# from. What is compiled and what threads need is there before the limit; each row's label and number are within it.
LIMITED = """
import re, resource, sys
from pathlib import Path
import numpy as np
from fastnn import MLP

m, K, MEMORY, path = 540_000, 4096, 64 << 20, Path(sys.argv[1])

def use(X, batch_size):
    net, y = MLP([K, 4, 2], activation="identity"), np.arange(len(X)) % 2
    before = net.weights[0].copy()
    net.fit(X, y, epochs=1, batch_size=batch_size, optimizer="sgd", sparse=False, verbose=False)
    predicted = len(net.predict(X)) if batch_size is None else 0
    return np.flatnonzero((net.weights[0] != before).any(axis=1)).tolist(), predicted

rows = np.lib.format.open_memmap(path, "w+", np.uint8, (m, K))
rows[-3:, 5] = 200
del rows
for batch_size in (None, 1024):
    use(np.zeros((2000, K), np.uint8), batch_size)
present = int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (present + MEMORY, present + MEMORY))
try:
    np.ones(2 * MEMORY, np.uint8)
except MemoryError:
    print("limited to", MEMORY, "of", path.stat().st_size)
for batch_size in (None, 1024):
    print(*use(np.load(path, mmap_mode="r"), batch_size))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of private memory, and files with holes")
def test_a_file_larger_than_memory(tmp_path: Path) -> None:
    """Trained on in the full batch and in mini-batches, and predicted, in a thirtieth of its size."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "rows.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / "rows.npy").unlink()
    assert done.stdout.splitlines() == ["limited to 67108864 of 2211840128", "[5] 540000", "[5] 0"], done.stderr
