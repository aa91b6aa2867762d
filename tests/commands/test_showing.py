"""`fastnn show`: a picture of each kind, where it says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fastnn import MLP
from fastnn.commands.flags_of_runs import PICTURES


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture(picture: str, digits: Path, tmp_path: Path, command: Callable[..., str]) -> None:
    out = tmp_path / "picture.png"
    assert command("show", picture, digits, "--out", out) == f"{picture}: {out}\n"
    with Image.open(out) as image:
        colours = image.convert("RGB").getcolors(1 << 24)
        assert min(image.size) > 300
        assert colours is not None
        assert len(colours) > 20


def test_by_default_into_the_run(clusters: str, tmp_path: Path, command: Callable[..., str]) -> None:
    run = tmp_path / "run"
    command(
        "train", "--data", clusters, "--backend", "numpy", "--epochs", 1, "--out", run, "--no-report", "--no-progress"
    )
    for _ in range(2):  # its own pictures it may draw again
        assert json.loads(command("show", "curves", run, "--json")) == {"picture": str(run / "curves.png")}
    assert (run / "curves.png").exists()


def test_beside_a_network_it_replaces_nothing(
    tmp_path: Path, command: Callable[..., str], refusal: Callable[..., str]
) -> None:
    MLP([784, 4, 10], seed=0).save(tmp_path / "net.safetensors")
    command("show", "weights", tmp_path / "net.safetensors")
    (tmp_path / "weights.png").write_text("mine")
    assert "expected a new name, or --force" in refusal("show", "weights", tmp_path / "net.safetensors")
    assert (tmp_path / "weights.png").read_text() == "mine"


def test_refusals(clusters: str, tmp_path: Path, command: Callable[..., str], refusal: Callable[..., str]) -> None:
    run, out = tmp_path / "run", tmp_path / "mine.png"
    flags = ("--data", clusters, "--backend", "numpy", "--epochs", 1, "--no-report", "--no-progress")
    command("train", *flags, "--hidden", "none", "--output-activation", "identity", "--out", run)
    out.write_text("mine")
    assert "expected a new name, or --force" in refusal("show", "curves", run, "--out", out)
    assert out.read_text() == "mine"
    assert "expected a name that ends with .png or .svg or .pdf" in refusal("show", "curves", run, "--out", "a.gif")
    assert "predicts numbers; expected a network of classes" in refusal("show", "confusion", run)
    assert "Rows have 4 features; expected a square from 16" in refusal("show", "data", tmp_path / "run")
    assert "invalid choice: 'cats'" in refusal("show", "cats", run)
