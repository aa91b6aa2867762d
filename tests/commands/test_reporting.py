"""report.html: one file that says what the run did, and that a browser shows without complaint."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine; `apt install chromium`")
QUIET = ["--headless", "--disable-gpu", "--no-first-run", "--enable-logging=stderr"]


class Links(HTMLParser):
    """Every address that the page would fetch, and every tag that is open."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def shown(page: Path, *flags: str) -> tuple[str, list[str]]:
    """The page as a browser understands it, and what its console says."""
    assert BROWSER is not None
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [
        BROWSER,
        *QUIET,
        *sandbox,
        *flags,
        f"--user-data-dir={page.parent / 'browser'}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_one_file_that_needs_no_other(digits: Path) -> None:
    page = (digits / "report.html").read_text()
    links = Links()
    links.feed(page)
    links.close()
    assert links.open == []
    assert len(links.addresses) > 10
    assert all(address.startswith(("data:", "#")) for address in links.addresses)
    assert "<script" not in page
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_all_of_the_run_is_there(digits: Path) -> None:
    page = (digits / "report.html").read_text()
    for title in (
        "Training",
        "Confusion matrix",
        "Classes",
        "Worst mistakes",
        "First-layer weights",
        "Data",
        "Settings",
    ):
        assert f"<h2>{title}</h2>" in page
    assert page.count("<svg") == 9  # two curves, the matrix, and two halves each of mistakes, weights and data
    for setting in ("learning_rate", "batch_size", "validation_fraction", str(digits.parent / "some.npz"), "python"):
        assert f">{setting}<" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


@browser
def test_the_browser_has_nothing_to_complain_of(digits: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    shutil.copy(digits / "report.html", page)
    dom, console = shown(page)
    assert console == []
    assert dom.count("<figure") == 9
    page.write_text(page.read_text().replace("</body>", "<script>undefined_name()</script></body>"))
    assert any("undefined_name" in line for line in shown(page)[1])  # which shows that complaints are heard


MEASURE = """<script>
const page = document.documentElement, style = getComputedStyle(document.body);
document.title = JSON.stringify([page.scrollWidth, page.clientWidth, style.backgroundColor, style.color]);
</script></body>"""


@browser
@pytest.mark.parametrize(("scheme", "background"), [(0, "rgb(20, 22, 26)"), (1, "rgb(255, 255, 255)")])
def test_it_fits_a_phone_in_both_themes(scheme: int, background: str, digits: Path, tmp_path: Path) -> None:
    """Within a frame as wide as a phone, for a window cannot be."""
    text = (digits / "report.html").read_text().replace("</body>", MEASURE)
    text = text.replace("document.title", "parent.document.title")
    (tmp_path / "report.html").write_text(text)
    frame = tmp_path / "frame.html"
    frame.write_text('<iframe src="report.html" style="width:360px;height:700px;border:0"></iframe>')
    flags = (
        f"--blink-settings=preferredColorScheme={scheme}",
        "--allow-file-access-from-files",
        "--virtual-time-budget=2000",
    )
    dom, _ = shown(frame, *flags)
    found = re.search(r"<title>\[(\d+),(\d+),\"(.*?)\",", dom)
    assert found is not None, dom
    assert 300 < int(found[1]) == int(found[2]) <= 360  # nothing is wider than the page
    assert found[3] == background


def test_rows_that_are_no_images(
    save_clusters: Callable[..., str], tmp_path: Path, command: Callable[..., str]
) -> None:
    data, run = save_clusters(tmp_path / "<b>&.npz", 60, 9), tmp_path / "<i>run"
    flags = ("--data", data, "--backend", "numpy", "--epochs", 1, "--no-progress", "--out", run)
    command("train", *flags, "--output-activation", "identity")
    page = (run / "report.html").read_text()
    assert page.count("<svg") == 2  # the loss, and the weights as a table
    assert "test R2" in page
    assert "<i>run" not in page
    assert "&lt;b&gt;&amp;.npz" in page


def test_without_matplotlib_it_says_so(clusters: str, tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None\nfrom fastnn.train import main\nsys.exit(main(sys.argv[1:]))"
    flags = ["--data", clusters, "--backend", "numpy", "--epochs", "1", "--no-progress", "--out", str(tmp_path / "run")]
    subprocess.run([sys.executable, "-c", code, *flags], check=True, capture_output=True)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "pip install &#x27;fastnn-numba[plot]&#x27;" in page
    assert "<svg" not in page
    assert "<h2>Classes</h2>" in page


def test_figures_of_training_rows_are_of_the_weights_at_the_end(
    clusters: str, tmp_path: Path, command: Callable[..., str]
) -> None:
    """The last epoch's mean loss is of weights from before."""
    with np.load(clusters) as data:
        np.savez(tmp_path / "all.npz", X=data["X_train"], y=data["y_train"])
    run = tmp_path / "run"
    flags = ("--data", tmp_path / "all.npz", "--backend", "numpy", "--epochs", 2, "--no-progress", "--out", run)
    command("train", *flags)
    measured = command("evaluate", run)
    figures = re.findall("<b>([^<]*)</b>([^<]*)<", (run / "report.html").read_text())
    assert [name for _, name in figures].count("training loss") == 1
    loss = next(float(value) for value, name in figures if name == "training loss")
    found = re.search(r"training loss *([\d.]+)", measured)
    assert found is not None
    assert float(found[1]) == pytest.approx(loss, rel=1e-3)


def test_it_is_written_though_nobody_reads_what_is_printed(clusters: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ["--data", clusters, "--backend", "numpy", "--epochs", "1", "--no-progress", "--out", str(run)]
    with subprocess.Popen(
        [sys.executable, "-m", "fastnn.train", *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    assert (run / "report.html").exists()
