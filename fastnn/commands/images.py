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

from ..extras import needed

Array = NDArray[Any]
SIDE, BOX = 28, 20
MOST_PIXELS = 1 << 26  # 8192 x 8192: some 270 MB while it is decoded
FAINT = 0.25  # of the darkest ink: less than this is paper, or its shadows
PLAIN = 16  # grey levels of 255: an image with less contrast shows nothing


def read_digit(path: str) -> Array:
    """uint8 (784,) of a PNG or JPEG of one digit, of any size, dark on light or light on dark.

    Raises OSError, or ValueError for what is no such image or shows nothing; ImportError without Pillow.
    """
    grey = _read_grey(path)
    paper = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    ink = np.abs(grey - paper)
    if ink.max() < PLAIN:
        raise ValueError(f"{path} is an image of one colour; expected a digit on paper.")
    ink = np.where(ink < FAINT * ink.max(), 0.0, ink / ink.max())
    return _centred(_scaled(_cropped(ink))).reshape(-1)


def is_image(path: str) -> bool:
    """Whether a file begins as a PNG or a JPEG does, or its name says that it should."""
    with open(path, "rb") as file:
        head = file.read(8)
    named = Path(path).suffix.lower() in (".png", ".jpg", ".jpeg")
    return named or head == b"\x89PNG\r\n\x1a\n" or head[:3] == b"\xff\xd8\xff"


def _read_grey(path: str) -> Array:
    """Grey levels, 0 to 255, upright; what is transparent shows white."""
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
        except (Image.UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
            raise ValueError(f"{path} is no PNG or JPEG image: {type(error).__name__}.") from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise ValueError(f"{path} is damaged: {error}; expected a whole PNG or JPEG image.") from None
    white = Image.new("RGBA", layers.size, "white")
    return np.asarray(Image.alpha_composite(white, layers).convert("L"), np.float64)


def _cropped(ink: Array) -> Array:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: Array) -> Array:
    """The longer side becomes BOX pixels; what is made smaller is averaged, so that thin strokes stay."""
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
