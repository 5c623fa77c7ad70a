"""Maps of a line as a picture."""

import numpy as np

__all__ = ["line_figure"]

#: Panels: quantity, title, unit as it is shown, colours, whether both signs matter.
PANELS = (
    ("flux", "Flux", "inferno", False),
    ("velocity", "Velocity", "RdBu_r", True),
    ("dispersion", "Dispersion", "viridis", False),
    ("continuum", "Continuum", "inferno", False),
    ("equivalent_width", "Equivalent width", "cividis", False),
)

#: Largest power of ten that is written out.
MOST_DIGITS = 3

#: Percentiles of the values between which colours change.
LIMITS = (1.0, 99.0)


def line_figure(maps, title):
    """
    Draw the maps of a line.

    Parameters
    ----------
    maps : LineMaps
        The maps; velocity, dispersion and equivalent width are shown where the flux is significant.
    title : str
        Title of the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Five maps and that of the significance; the one in the corner has coordinates.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7.4), dpi=120)
    figure.subplots_adjust(left=0.07, right=0.95, bottom=0.07, top=0.9, wspace=0.3, hspace=0.22)
    figure.suptitle(title, fontsize=12)
    panels = [
        (words, quantity.value, quantity.unit, colours, both)
        for name, words, colours, both in PANELS
        for quantity in [maps.cells.quantities[name]]
    ]
    panels.append(("Flux over its error", maps.cells.significance, "", "magma", False))
    for number, (words, values, unit, colours, both) in enumerate(panels):
        corner = number == 3  # coordinates are slow to draw, and the same in all
        axes = figure.add_subplot(2, 3, number + 1, projection=maps.wcs if corner else None)
        masked = words in ("Velocity", "Dispersion", "Equivalent width")
        _panel(figure, axes, np.where(maps.mask, values, np.nan) if masked else values, colours, both, unit)
        axes.set_title(words, fontsize=10)
        if corner:
            _label(axes)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
    return figure


def _panel(figure, axes, values, colours, both, unit):
    """Draw a map with its scale."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, LIMITS) if known.size else (0.0, 1.0)
    power = int(np.floor(np.log10(max(abs(low), abs(high), 1e-300))))
    if abs(power) > MOST_DIGITS:
        values, low, high = (number / 10.0**power for number in (values, low, high))
        unit = f"1e{power} {unit}"
    if both:
        middle = float(np.nanmedian(values)) if known.size else 0.0
        half = max(high - middle, middle - low)
        low, high = middle - half, middle + half
    axes.set_facecolor("0.85")
    image = axes.imshow(values, origin="lower", cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, fraction=0.045, pad=0.02)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _label(axes):
    """Name the coordinates."""
    for axis, name in ((axes.coords[0], "R.A."), (axes.coords[1], "Decl.")):
        axis.set_ticklabel(size=7)
        axis.set_ticks(number=4)
        axis.set_axislabel(name, fontsize=8)
