"""Images as PNG in a page."""

import base64
import io

import numpy as np
from bokeh import palettes
from PIL import Image

__all__ = ["brightness_png", "png", "sigma_png"]

#: Least width of a picture in pixels: browsers smooth small ones.
LEAST = 160

INFERNO = palettes.Inferno256

#: Blue over white to red.
DIVERGING = palettes.diverging_palette(palettes.Blues256, palettes.Reds256, n=256)


def png(values, low, high, colours):
    """
    Draw an image as a PNG, a pixel or a whole block of them for each value.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Values; the first row is at the bottom. NaN is transparent.
    low, high : float
        Values of the first and the last colour.
    colours : sequence of str
        256 colours as ``#rrggbb``.

    Returns
    -------
    str
        ``data:`` address.
    """
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] + [255] for c in colours], dtype=np.uint8)
    span = high - low if high > low else 1.0
    known = np.isfinite(values)
    index = np.clip(np.round(255 * (np.where(known, values, low) - low) / span), 0, 255).astype(int)
    pixels = table[index]
    pixels[~known] = 0
    block = max(1, -(-LEAST // max(values.shape)))
    pixels = pixels[::-1].repeat(block, axis=0).repeat(block, axis=1)
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels).quantize(256) if block > 1 else Image.fromarray(pixels)
    picture.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def brightness_png(values, limits=None):
    """
    Draw a brightness, from its 0.5 to its 99.5 percentile in a square-root stretch.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Values; NaN is transparent.
    limits : tuple of float, optional
        Limits in place of the percentiles.

    Returns
    -------
    address : str
        ``data:`` address.
    limits : tuple of float
        Values of the darkest and the brightest colour.
    """
    known = values[np.isfinite(values)]
    if limits is None:
        limits = tuple(np.percentile(known, (0.5, 99.5)).tolist()) if known.size else (0.0, 1.0)
    low, high = limits
    if not high > low:
        return png(np.where(np.isfinite(values), 0.5, np.nan), 0.0, 1.0, INFERNO), (low, high)
    span = high - low
    return png(np.sqrt(np.clip((values - low) / span, 0, 1)), 0.0, 1.0, INFERNO), (low, high)


def sigma_png(values, limit=5.0):
    """Draw residuals in standard errors from blue over white to red; NaN is transparent."""
    return png(values, -limit, limit, DIVERGING)
