"""Curves of a report: figures over wavelength, radius, number of components."""

from dataclasses import dataclass

import numpy as np
from bokeh.models import HoverTool, Span
from bokeh.plotting import figure

from .explorer import FUSED, NIRSPEC

__all__ = ["Curve", "bars", "curve", "footprints", "scree", "tuning"]

COLOURS = (FUSED, NIRSPEC, "#2da44e", "#bf5af2", "#d4a72c", "#e5534b", "#57b6c2", "#8b949e")


#: Points up to which each is marked.
FEW = 12


@dataclass(frozen=True, eq=False)
class Curve:
    """
    A figure of a report.

    Attributes
    ----------
    key : str
        Its name in the page.
    plot : bokeh.models.Plot
        The figure.
    alt, caption : str
        Text in place of the figure, and its caption.
    """

    key: str
    plot: object
    alt: str
    caption: str


def _empty(key, x_label, y_label, **options):
    """Figure without content."""
    options.setdefault("height", 260)
    plot = figure(
        name=key, sizing_mode="stretch_width", x_axis_label=x_label, y_axis_label=y_label,
        tools="pan,box_zoom,reset,save", toolbar_location="above", background_fill_alpha=0,
        border_fill_alpha=0, outline_line_color=None, **options,
    )  # fmt: skip
    plot.toolbar.logo = None
    return plot


def curve(key, caption, x, lines, *, x_label, y_label, level=None, alt=None, **options):
    """
    Draw lines over one axis.

    Parameters
    ----------
    key, caption : str
        Name and caption.
    x : ndarray, shape (n,)
        Abscissa.
    lines : dict of ndarray, shape (n,)
        Ordinates by name, or abscissa and ordinate; None is left out.
    x_label, y_label : str
        Axes.
    level : float, optional
        A horizontal line.
    alt : str, optional
        Text in place of the figure; made from the caption and the lines' ranges otherwise.
    **options
        Of the figure.

    Returns
    -------
    Curve
        The figure.
    """
    plot = _empty(key, x_label, y_label, **options)
    said = []
    lines = {name: y for name, y in lines.items() if y is not None}
    for (name, y), colour in zip(lines.items(), COLOURS * (1 + len(lines) // len(COLOURS)), strict=False):
        own_x, y = y if isinstance(y, tuple) else (x, y)
        y = np.asarray(y, dtype=np.float64)
        plot.line(own_x, y, color=colour, line_width=1.5, legend_label=name)
        if y.size <= FEW:
            plot.scatter(own_x, y, color=colour, size=6, legend_label=name)
        known = y[np.isfinite(y)]
        if known.size:
            said.append(f"{name} from {known.min():.4g} to {known.max():.4g}")
    if level is not None:
        plot.add_layout(Span(location=level, dimension="width", line_color="#8b949e", line_dash="dashed"))
    plot.add_tools(HoverTool(tooltips=[(x_label, "$x{0.0000}"), (y_label, "$y{0.0000}")]))
    _tidy_legend(plot)
    return Curve(key, plot, alt or f"{caption} {'; '.join(said)}.", caption)


def bars(key, caption, ranges, *, x_label, alt):
    """
    Draw ranges below each other.

    Parameters
    ----------
    key, caption : str
        Name and caption.
    ranges : dict of (float, float)
        Beginning and end by name, from top to bottom.
    x_label : str
        Axis.
    alt : str
        Text in place of the figure.

    Returns
    -------
    Curve
        The figure.
    """
    names = list(ranges)
    plot = _empty(key, x_label, "", y_range=names[::-1], height=70 + 20 * len(names))
    low, high = np.transpose(list(ranges.values()))
    plot.hbar(y=names, left=low, right=high, height=0.5, color=FUSED)
    plot.ygrid.visible = False
    return Curve(key, plot, alt, caption)


def _tidy_legend(plot):
    """Make the legend small; a click hides a line."""
    if plot.legend:
        plot.legend.label_text_font_size, plot.legend.padding, plot.legend.spacing = "10px", 2, 0
        plot.legend.click_policy, plot.legend.glyph_height = "hide", 12


def scree(eigenvalues, k):
    """
    Draw the variances along the principal axes.

    Parameters
    ----------
    eigenvalues : ndarray
        Variances over that of the noise.
    k : int
        Number of components used.

    Returns
    -------
    Curve
        The figure.
    """
    values = np.maximum(np.asarray(eigenvalues, dtype=np.float64), 1e-3)
    number = np.arange(1, values.size + 1)
    plot = _empty("scree", "component", "variance over noise", y_axis_type="log")
    plot.line(number, values, color=FUSED)
    plot.scatter(number[:k], values[:k], color=FUSED, size=8, legend_label="used")
    plot.scatter(number[k:], values[k:], color=FUSED, fill_alpha=0, size=8, legend_label="not used")
    plot.add_layout(Span(location=k + 0.5, dimension="height", line_color="#8b949e", line_dash="dashed"))
    _tidy_legend(plot)
    alt = f"Scree plot: {k} components are used; variances " + ", ".join(f"{v:.3g}" for v in values)
    return Curve(
        "scree", plot, alt, f"Variance of the whitened cube along its axes; {k} components are used."
    )


def tuning(x, y, chosen, x_label, y_label):
    """
    Draw the curve from which a weight was chosen.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Weights tried and their figure of merit.
    chosen : float
        The weight chosen.
    x_label, y_label : str
        What they are.

    Returns
    -------
    Curve
        The figure.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    plot = _empty("tuning", x_label, y_label, x_axis_type="log" if (x > 0).all() else "linear")
    plot.line(x, y, color=FUSED)
    plot.scatter(x, y, color=FUSED, size=6)
    plot.add_layout(Span(location=float(chosen), dimension="height", line_color=NIRSPEC, line_dash="dashed"))
    alt = f"{y_label} against {x_label}: the value chosen is {chosen:.4g}, of {x.min():.3g} to {x.max():.3g}"
    return Curve("tuning", plot, alt, f"Tuning: the dashed line is the value chosen, {chosen:.4g}.")


def footprints(outlines):
    """
    Draw outlines on the sky, north up and east to the left.

    Parameters
    ----------
    outlines : dict of ndarray, shape (n, 2)
        Corners (east, north) [arcsec] from the middle of the field, by name.

    Returns
    -------
    Curve
        The figure.
    """
    plot = _empty("footprint-map", "east [arcsec]", "north [arcsec]", match_aspect=True, height=380)
    plot.x_range.flipped = True
    for (name, corners), colour in zip(outlines.items(), COLOURS * 4, strict=False):
        closed = np.concatenate([corners, corners[:1]])
        plot.line(*closed.T, color=colour, line_width=2, legend_label=name)
    _tidy_legend(plot)
    alt = "Footprints on the sky: " + ", ".join(
        f"{name} {np.ptp(corners[:, 0]):.1f} by {np.ptp(corners[:, 1]):.1f} arcsec"
        for name, corners in outlines.items()
    )
    return Curve("footprint-map", plot, alt, "What each instrument covers of the field.")
