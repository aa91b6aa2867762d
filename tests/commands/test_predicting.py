"""`fastnn predict`: the same labels however rows come in, and images as MNIST would have them."""

import io
import json
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from fastnn import MLP, load
from fastnn.__main__ import main
from fastnn.commands.images import read_digit
from fastnn.commands.predicting import _finite
from fastnn.data import read_npz

Array = NDArray[Any]
Json = Callable[..., Any]


def rows(digits: Path) -> Array:
    """Some of the run's test rows."""
    X = read_npz(digits.parent / "some.npz").X_test
    assert X is not None
    return X[:20]


# --- rows


@pytest.mark.parametrize("form", ["X.npz", "one.npz", "features.csv", "labelled.csv", "named.csv"])
def test_rows_of_every_form(form: str, digits: Path, tmp_path: Path, command_json: Json) -> None:
    X, path = rows(digits), tmp_path / form
    if form.endswith("npz"):
        np.savez(path, **({"X": X, "other": X[:1]} if form == "X.npz" else {"whatever": X}))
    else:
        table = X if form == "features.csv" else np.column_stack([np.full(20, 3), X])
        names = ",".join(["label", *map(str, range(784))]).replace(",", ",p") if form == "named.csv" else ""
        np.savetxt(path, table, delimiter=",", fmt="%d", header=names, comments="")
    net = load(digits / "last.safetensors")
    found = command_json("predict", digits, path)["predictions"]
    assert [row["label"] for row in found] == net.predict(X).tolist()
    assert [row["row"] for row in found] == list(range(20))
    np.testing.assert_allclose([row["probabilities"] for row in found], net.predict_proba(X), rtol=1e-6)


def test_text_and_files(digits: Path, tmp_path: Path, command: Callable[..., str]) -> None:
    X, path = rows(digits), tmp_path / "rows.npz"
    np.savez(path, X=X)
    labels = load(digits / "last.safetensors").predict(X)
    text = command("predict", digits, path)
    assert [line.split()[1] for line in text.splitlines()] == [str(label) for label in labels]
    assert text.startswith(f"{path}[0] ")
    for name in ("out.csv", "out.npz"):
        assert (
            command("predict", digits, path, "--out", tmp_path / name) == f"20 predictions are in {tmp_path / name}.\n"
        )
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "file,row,label," + ",".join(f"p{label}" for label in range(10))
    assert [int(line.split(",")[2]) for line in lines[1:]] == labels.tolist()
    with np.load(tmp_path / "out.npz") as written:
        assert written["label"].tolist() == labels.tolist()
        assert written["probabilities"].shape == (20, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are no bytes here")
def test_a_name_that_is_no_text(digits: Path, tmp_path: Path, command: Callable[..., str], command_json: Json) -> None:
    """Printed as it can be, and kept as it is."""
    name = tmp_path / os.fsdecode(b"rows-\xff.npz")
    with name.open("wb") as file:
        np.savez(file, X=rows(digits)[:1])
    assert command("predict", digits, name).split()[0] == f"{tmp_path}/rows-\N{REPLACEMENT CHARACTER}.npz"
    assert command_json("predict", digits, name)["predictions"][0]["file"] == str(name)
    command("predict", digits, name, "--out", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().splitlines()[1].startswith(os.fsencode(name) + b",0,")
    command("predict", digits, name, "--out", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        assert written["files"].tolist() == [str(name)]


def test_numbers(save_clusters: Callable[..., str], tmp_path: Path, command: Callable[..., str]) -> None:
    data, flags = save_clusters(tmp_path / "a.npz", 60, 9), ("--backend", "numpy", "--epochs", 1, "--no-report")
    run = tmp_path / "run"
    command("train", "--data", data, *flags, "--output-activation", "identity", "--out", run, "--no-progress")
    (tmp_path / "rows.csv").write_text("1,2,3,4\n5,6,7,8\n")  # bytes for a network that knows none
    found = json.loads(command("predict", run, tmp_path / "rows.csv", "--json"))["predictions"]
    expected = load(run / "last.safetensors", backend="numpy").predict(np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]]))
    assert [row["prediction"] for row in found] == expected.tolist()
    assert command("predict", run, tmp_path / "rows.csv").split()[1::2] == [f"{value:.6g}" for value in expected]
    assert "probabilities" not in found[0]
    command("predict", run, tmp_path / "rows.csv", "--out", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "file,row,prediction"


# --- images


def drawn(size: tuple[int, int], paper: Any, ink: Any, mode: str, scale: float = 1.0) -> Image.Image:
    """A seven somewhere on paper."""
    image = Image.new(mode, size, paper)
    points = [(scale * (10 + x), scale * (12 + y)) for x, y in ((0, 0), (60, 0), (20, 100))]
    ImageDraw.Draw(image).line(points, fill=ink, width=round(11 * scale), joint="curve")
    return image


def shaded(image: Image.Image, across: float, corners: float) -> Image.Image:
    """As a lamp at one side and a lens would have it, and the noise of a camera."""
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    light = 1 - across * (1 + x) / 2 - corners * (x * x + y * y)
    noise = np.random.default_rng(0).normal(0, 3, x.shape)
    return Image.fromarray(np.clip(np.asarray(image) * light + noise, 0, 255).astype(np.uint8))


VARIANTS: dict[str, Image.Image] = {
    "ink on paper": drawn((200, 200), 250, 10, "L"),
    "light on dark": drawn((200, 200), 0, 255, "L"),
    "colour": drawn((300, 220), (255, 250, 230), (20, 30, 120), "RGB", 1.5),
    "small": drawn((64, 64), 255, 0, "L", 0.4),
    "large": drawn((1500, 1400), 255, 0, "L", 8),
    "transparent": drawn((200, 200), (0, 0, 0, 0), (0, 0, 0, 255), "RGBA"),
    "black and white": drawn((200, 200), 1, 0, "1"),
    "transparent, light": drawn((200, 200), (0, 0, 0, 0), (255, 255, 255, 255), "RGBA"),
    "shaded": shaded(drawn((200, 200), 250, 10, "L"), 0.3, 0.0),
    "shaded in the corners": shaded(drawn((200, 200), 250, 10, "L"), 0.1, 0.2),
    "shaded, light on dark": ImageOps.invert(shaded(drawn((200, 200), 250, 10, "L"), 0.3, 0.1)),
    "palette": drawn((200, 200), (255, 255, 255), (200, 0, 0), "RGB").convert("P"),
    "16 bits": Image.fromarray(np.asarray(drawn((200, 200), 250, 10, "L")).astype(np.uint16) * 257),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_an_image_of_any_kind_is_the_same_digit(name: str, tmp_path: Path) -> None:
    """The same drawing, whatever its size, place, colours and polarity, gives nearly the same pixels, up to a shift."""
    first, path = tmp_path / "first.png", tmp_path / "image.png"
    VARIANTS["ink on paper"].save(first)
    VARIANTS[name].save(path)
    found, expected = read_digit(str(path)), read_digit(str(first))
    assert (found.dtype, found.shape) == (np.uint8, (784,))
    shifts = [np.roll(expected, shift) for shift in (0, -1, 1, -28, 28)]
    assert max(np.corrcoef(found, shifted)[0, 1] for shifted in shifts) > 0.93
    assert found.max() > 240


def test_centred_and_scaled_as_mnist_is(tmp_path: Path) -> None:
    VARIANTS["colour"].save(tmp_path / "image.jpg", quality=90)
    image = read_digit(str(tmp_path / "image.jpg")).reshape(28, 28).astype(float)
    lines, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert 1 + max(np.ptp(lines), np.ptp(columns)) == 20
    for axis in (0, 1):
        mass = image.sum(axis=1 - axis)
        assert abs((mass * (np.arange(28) + 0.5)).sum() / mass.sum() - 14) <= 0.6


def test_mnist_s_own_images_come_back_as_they_were(digits: Path, tmp_path: Path, command_json: Json) -> None:
    """Saved as pictures, enlarged and with paper for ink, they are recognised as they are as rows."""
    X, net, paths = rows(digits), load(digits / "last.safetensors"), []
    for i, row in enumerate(X):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(255 - row.reshape(28, 28)).resize((140, 140), Image.Resampling.BICUBIC).save(paths[-1])
    found = [row["label"] for row in command_json("predict", digits, *paths)["predictions"]]
    assert np.mean(np.array(found) == net.predict(X)) >= 0.9


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    upright = VARIANTS["ink on paper"]
    upright.save(tmp_path / "a.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    upright.rotate(90, expand=True).save(tmp_path / "b.jpg", quality=95, exif=exif)
    a, b = (read_digit(str(tmp_path / name)) for name in ("a.jpg", "b.jpg"))
    assert np.corrcoef(a, b)[0, 1] > 0.98


# --- refusing


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG, whose header may lie."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def saved(image: Image.Image, form: str) -> bytes:
    content = io.BytesIO()
    image.save(content, form)
    return content.getvalue()


IMPOSTORS: dict[str, tuple[bytes, str]] = {
    "text.png": (b"hello", "text.png holds something else; expected a PNG or JPEG image."),
    "empty.png": (b"", "empty.png holds something else; expected a PNG or JPEG image."),
    "gif.png": (saved(VARIANTS["small"], "GIF"), "gif.png holds something else; expected a PNG or JPEG image."),
    "blank.png": (saved(Image.new("L", (50, 50), 200), "PNG"), "is an image of one colour; expected a digit on paper"),
    "short.png": (saved(VARIANTS["small"], "PNG")[:90], "short.png is damaged"),
    "header.png": (png(100, 100), "header.png is damaged|header.png holds something else"),
    "lies.png": (png(60000, 60000), "lies.png has 3600000000 pixels; expected at most|lies.png holds something else"),
    "rows.csv": (b"1,2,3\n4,5,6\n", "rows.csv has rows of length 3; expected 784"),
    "broken.npz": (b"PK\x03\x04" + b"x" * 50, "broken.npz is damaged"),
    "missing.png": (b"", "missing.png: No such file"),
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_impostors(name: str, digits: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    content, sentence = IMPOSTORS[name]
    if name != "missing.png":
        (tmp_path / name).write_bytes(content)
    error = refusal("predict", digits, tmp_path / name, "--out", tmp_path / "out.csv")
    assert any(part in error for part in sentence.split("|")), error
    assert not (tmp_path / "out.csv").exists()


def test_bad_files_among_good_ones(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The good ones are predicted as they are alone; each bad one has its line, and the status says so."""
    X = rows(digits)[:3]
    for name, array in (("good.npz", X), ("nan.npz", np.full(X.shape, np.nan)), ("also.npz", X[:1])):
        np.savez(tmp_path / name, X=array)
    (tmp_path / "text.png").write_bytes(b"hello")
    names = [str(tmp_path / name) for name in ("missing.csv", "good.npz", "nan.npz", "text.png", "also.npz")]
    out, expected = tmp_path / "out.npz", load(digits / "last.safetensors").predict(X).tolist()

    def predict(*flags: str) -> str:
        status, (text, err) = main(["predict", str(digits), *names, *flags]), capsys.readouterr()
        assert status == 2
        prefix = "fastnn.predict: error: "
        assert err.splitlines() == [
            f"{prefix}{names[0]}: No such file or directory.",
            f"{prefix}{names[2]}: X holds nan in row 0, column 0; expected finite numbers.",
            f"{prefix}{names[3]} holds something else; expected a PNG or JPEG image.",
        ]
        return text

    found = json.loads(predict("--json"))["predictions"]
    assert [(row["file"], row["row"]) for row in found] == [*((names[1], i) for i in range(3)), (names[4], 0)]
    assert [row["label"] for row in found] == [*expected, expected[0]]
    assert [int(line.split()[1]) for line in predict().splitlines()] == [*expected, expected[0]]
    assert predict("--out", str(out)) == f"4 predictions are in {out}.\n"
    with np.load(out) as written:
        assert written["label"].tolist() == [*expected, expected[0]]


def test_other_refusals(digits: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    path, out = tmp_path / "seven.png", tmp_path / "out.csv"
    VARIANTS["small"].save(path)
    out.write_text("mine")
    assert f"{out} exists; expected a new name, or --force" in refusal("predict", digits, path, "--out", out)
    assert out.read_text() == "mine"
    assert "expected a name that ends with .csv or .npz" in refusal("predict", digits, path, "--out", tmp_path / "out")
    MLP([10, 3]).save(tmp_path / "ten.safetensors")
    assert "of 784 pixels when scaled; expected rows of 10" in refusal("predict", tmp_path / "ten.safetensors", path)
    np.savez(tmp_path / "several.npz", a=np.ones((2, 784)), b=np.ones((2, 784)))
    assert "holds the arrays 'a', 'b'; expected one of X" in refusal("predict", digits, tmp_path / "several.npz")


def test_what_is_not_finite_is_null() -> None:
    assert _finite(np.array([0.5, np.nan, -np.inf])) == [0.5, None, None]
    assert _finite(np.array([[np.inf], [2.0]])) == [[None], [2.0]]
    assert (_finite(np.int64(3)), _finite(np.float32("nan"))) == (3, None)


@pytest.mark.parametrize("pen", [1, 2, 4])
def test_thin_strokes_are_as_dark_as_thick_ones(pen: int, tmp_path: Path) -> None:
    """Averaging makes them faint, which no digit of MNIST is."""
    image = Image.new("L", (800, 800), 255)
    ImageDraw.Draw(image).line([(200, 150), (600, 150), (350, 700)], fill=0, width=pen)
    image.save(tmp_path / "seven.png")
    assert read_digit(str(tmp_path / "seven.png")).max() == 255


def test_specks_are_no_digit(tmp_path: Path) -> None:
    image = Image.new("L", (3000, 3000), 255)
    for place in ((500, 500), (2500, 2500)):
        image.putpixel(place, 0)
    image.save(tmp_path / "specks.png")
    with pytest.raises(ValueError, match=r"specks\.png has but a few specks on it; expected a digit\.$"):
        read_digit(str(tmp_path / "specks.png"))


def test_a_pipe_is_refused_at_once(digits: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe or a device" in refusal("predict", digits, tmp_path / "pipe")


def test_a_column_an_output(tmp_path: Path, command: Callable[..., str]) -> None:
    MLP([3, 2], output="identity", backend="numpy").save(tmp_path / "two.safetensors")
    (tmp_path / "rows.csv").write_text("1,2.5,3\n4,5,6\n")
    command("predict", tmp_path / "two.safetensors", tmp_path / "rows.csv", "--out", tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "file,row,prediction0,prediction1"
    assert [line.count(",") for line in lines] == [3, 3, 3]
