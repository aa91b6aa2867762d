"""Pictures of digits as MNIST's rows: LeCun, Bottou, Bengio and Haffner, Gradient-based learning (1998), section III A.

There the digit was scaled to fit 20 x 20 pixels, its proportions kept, and laid into 28 x 28 with its centre of mass in
the middle; ink is 255 and paper 0.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.source import check_regular
from ..extras import needed

Array = NDArray[Any]
SIDE, BOX = 28, 20
MOST_PIXELS = 1 << 26  # 8192 x 8192: some 270 MB while it is decoded
FAINT = 0.25  # of the darkest ink: less than this is paper, or its shadows
FITS = 5  # rounds of reweighting: 147 of 150 shaded digits are recognised then, and no more after 20
EVEN = 6  # grey levels within which half the edge is, where nothing shades the paper
PLAIN = 16  # grey levels of 255: an image with less contrast shows nothing


def read_digit(path: str) -> Array:
    """uint8 (784,) of a PNG or JPEG of one digit, of any size, dark on light or light on dark.

    Raises OSError, or ValueError for what is no such image or shows nothing; ImportError without Pillow.
    """
    grey = _read_grey(path)
    ink = _without_paper(grey)
    if ink.max() < PLAIN:
        raise ValueError(f"{path} is an image of one colour; expected a digit on paper.")
    ink = np.where(ink < FAINT * ink.max(), 0.0, ink / ink.max())
    digit = _scaled(_cropped(ink))
    if digit.max() < 1.0:
        raise ValueError(f"{path} has but a few specks on it; expected a digit.")
    return _centred(digit * (255.0 / digit.max())).reshape(-1)


def is_image(path: str) -> bool:
    """Whether a file begins as a PNG or a JPEG does, or its name says that it should. Raises OSError or ValueError."""
    check_regular(Path(path))
    with open(path, "rb") as file:
        head = file.read(8)
    named = Path(path).suffix.lower() in (".png", ".jpg", ".jpeg")
    return named or head == b"\x89PNG\r\n\x1a\n" or head[:3] == b"\xff\xd8\xff"


def _without_paper(grey: Array) -> Array:
    """The difference from the paper, whose one grey is that of half the edge or, where lamps shade it, a surface."""
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = float(np.median(edge))
    if np.median(np.abs(edge - paper)) < EVEN:
        return np.asarray(np.abs(grey - paper))
    y, x = (np.linspace(-1, 1, side) for side in grey.shape)
    ink = grey.copy()
    for factor, term in zip(_shading(x, y, edge), _quadratic(x, y[:, None]), strict=True):
        ink -= factor * term
    return np.asarray(np.abs(ink))


def _shading(x: Array, y: Array, edge: Array) -> Array:
    """Of all quadratic surfaces, the one with the least sum of distances from the picture's edge, so that ink which
    crosses it counts for little. By iteratively reweighted least squares: Holland and Welsch (1977).

    x (w,), y (h,): places of columns and rows. edge: the first row, the last one, the first column, the last one.
    """
    edge_x = np.concatenate([np.tile(x, 2), np.repeat(x[[0, -1]], len(y))])
    edge_y = np.concatenate([np.repeat(y[[0, -1]], len(x)), np.tile(y, 2)])
    terms, weights = np.stack(_quadratic(edge_x, edge_y), axis=1), np.ones(len(edge))
    for _ in range(FITS):
        factors = np.linalg.lstsq(terms * weights[:, None], edge * weights, rcond=None)[0]
        weights = 1 / np.sqrt(np.maximum(np.abs(edge - terms @ factors), 1.0))
    return np.asarray(factors)


def _quadratic(x: Array, y: Array) -> list[Array]:
    return [np.ones_like(x), x, y, x * x, y * y, x * y]


def _read_grey(path: str) -> Array:
    """Grey levels, 0 to 255, upright. What is transparent shows white or, where nothing is seen on that, black."""
    Image = needed("PIL.Image", "plot", "reading images")
    ImageOps = needed("PIL.ImageOps", "plot", "reading images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its size, which is looked at below
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                pixels = image.width * image.height
                if pixels > MOST_PIXELS:
                    raise ValueError(f"{path} has {pixels} pixels; expected at most {MOST_PIXELS}.")
                upright = ImageOps.exif_transpose(image)
                if upright.mode.startswith("I"):  # 16 bits a pixel
                    return np.asarray(upright, np.float64) / 257
                layers = upright.convert("RGBA")
        except Image.DecompressionBombError:
            raise ValueError(f"{path} has too many pixels; expected at most {MOST_PIXELS}.") from None
        except (Image.UnidentifiedImageError, SyntaxError):
            raise ValueError(f"{path} holds something else; expected a PNG or JPEG image.") from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise ValueError(f"{path} is damaged: {error}; expected a whole PNG or JPEG image.") from None
    for paper in ("white", "black"):
        whole = Image.alpha_composite(Image.new("RGBA", layers.size, paper), layers).convert("L")
        lightest, darkest = whole.getextrema()[::-1]
        if lightest - darkest >= PLAIN:
            break
    return np.asarray(whole, np.float64)


def _cropped(ink: Array) -> Array:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: Array) -> Array:
    """The longer side becomes BOX pixels; what is made smaller is averaged, so that thin strokes stay, if faintly."""
    Image = needed("PIL.Image", "plot", "reading images")
    factor = BOX / max(ink.shape)
    height, width = (max(1, round(side * factor)) for side in ink.shape)
    picture = Image.fromarray((ink * 255).round().astype(np.uint8))
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS), np.float64)


def _centred(ink: Array) -> Array:
    """In the middle of SIDE x SIDE, as whole pixels allow, and never beyond the edge."""
    out = np.zeros((SIDE, SIDE), np.uint8)
    corner = []
    for axis, side in enumerate(ink.shape):
        mass = ink.sum(axis=1 - axis)
        centre = (mass * (np.arange(side) + 0.5)).sum() / mass.sum()
        corner.append(int(np.clip(round(SIDE / 2 - centre), 0, SIDE - side)))
    out[corner[0] : corner[0] + ink.shape[0], corner[1] : corner[1] + ink.shape[1]] = ink.round()
    return out
