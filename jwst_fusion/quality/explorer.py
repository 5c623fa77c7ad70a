"""The explorer of a report: the data that the page contains, and the figures that show them."""

import base64

import numpy as np
from bokeh import palettes
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    LassoSelectTool,
    PanTool,
    Range1d,
    ResetTool,
    SaveTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from .lines import LINES, lines_between
from .packing import pack, pack_floats
from .raster import DIVERGING

__all__ = ["PALETTES", "explorer_data", "explorer_figures", "first_channel"]

#: Colour maps, the first to begin with.
PALETTES = {
    "inferno": palettes.Inferno256,
    "viridis": palettes.Viridis256,
    "grey": palettes.Greys256[::-1],
    "cividis": palettes.Cividis256,
    "turbo": palettes.Turbo256,
}

#: Steps per standard error in which coefficients and images are kept.
STEPS = 16

#: Step of a covariance of coefficients, in their typical standard errors. Judged.
COVARIANCE_STEP = 0.01

#: Blue for the fused cube, orange for NIRSpec: distinguishable to the colour-blind, on white and on black.
FUSED, NIRSPEC = "#2f81c7", "#e08214"


def first_channel(content):
    """
    Choose where the explorer begins: the brightest line of the mean spectrum that is known by name.

    Parameters
    ----------
    content : ReportContent
        The content.

    Returns
    -------
    int
        Channel; the middle one if no known line is in the range.
    """
    alive = np.flatnonzero(content.alive)
    if alive.size == 0:
        return 0
    channels = [
        alive[np.argmin(np.abs(content.wavelength[alive] - line.wavelength))]
        for line in lines_between(content.wavelength[0], content.wavelength[-1])
    ]
    if not channels:
        return int(alive[alive.size // 2])
    return int(max(channels, key=lambda channel: content.mean_spectrum[channel]))


def explorer_data(content):
    """
    Pack the data from which the page computes the cube.

    Parameters
    ----------
    content : ReportContent
        The content.

    Returns
    -------
    dict
        To be written as JSON.
    """
    ny, nx = content.inside.shape
    rows, columns = np.nonzero(content.inside)
    brightest = np.argmax(content.plane(_at(content, first_channel(content)))[rows, columns])
    frame = content.frame
    data = {
        "name": content.name,
        "shape": [ny, nx],
        "cell": [int(rows[brightest]), int(columns[brightest])],
        "frame": {
            "ra": frame.ra, "dec": frame.dec, "x": frame.x, "y": frame.y, "matrix": list(frame.matrix),
            "cell": frame.cell,
        },
        "pixelArea": content.pixel_area if np.isfinite(content.pixel_area) else 0.0,
        "wavelength": pack_floats(content.wavelength),
        "mean": pack_floats(content.mean_spectrum),
        "basis": pack_floats(content.basis),
        "alive": base64.b64encode(content.alive.astype(np.uint8).tobytes()).decode("ascii"),
        "coefficients": [
            pack(image, _step(image, _typical(errors)))
            for image, errors in zip(content.coefficients, content.coefficient_errors, strict=True)
        ],
        "errorSpectra": pack_floats(content.error_spectra),
        "errorMaps": [pack(image, 1e-3 * _typical(np.abs(image))) for image in content.error_maps],
        "lines": [
            {"name": line.name, "wavelength": line.wavelength, "source": line.source}
            for line in sorted(LINES, key=lambda line: line.wavelength)
        ],
        "lineErrors": _line_errors(content.line_errors, content.inside),
        "palettes": [{"name": name, "colours": list(colours)} for name, colours in PALETTES.items()],
        "diverging": list(DIVERGING),
        "bands": _bands(content),
        "spectra": _spectra(content.diagnosis),
    }  # fmt: skip
    return data


def _at(content, channel):
    """Weights of one channel."""
    return (np.arange(content.wavelength.size) == channel).astype(float)


def _typical(values):
    """Median of the finite values that are not zero; NaN if there are none."""
    known = values[np.isfinite(values) & (values != 0)]
    return float(np.median(known)) if known.size else float("nan")


def _step(image, noise):
    """Step in which an image is kept: a sixteenth of its noise, or little of its contrast."""
    return noise / STEPS if np.isfinite(noise) else np.nanstd(image) / 4096


def _line_errors(errors, inside):
    """Errors of lines, the covariance as its lower triangle."""
    if errors is None:
        return None
    unit = [np.sqrt(_typical(np.where(inside, variance, np.nan))) for variance in
            np.einsum("iiyx->iyx", errors.covariance)]  # fmt: skip
    return {
        "covariance": [
            pack(np.where(inside, errors.covariance[i, j], np.nan), COVARIANCE_STEP * unit[i] * unit[j])
            for i in range(len(unit))
            for j in range(i + 1)
        ],
        "leverage": pack(errors.leverage, COVARIANCE_STEP * _typical(errors.leverage)),
        "noise": pack_floats(errors.spectral_noise),
        "scale": errors.scale_error,
        "gaps": errors.gaps.tolist(),
        "gapSpectra": errors.gap_spectra.tolist(),
        "gapErrors": errors.gap_errors.tolist(),
    }


def _bands(content):
    """Images and bandpasses of the bands."""
    diagnosis = content.diagnosis
    bands = []
    for f, row in enumerate(content.bands):
        band = {"filter": row.filter, "pivot": row.pivot if np.isfinite(row.pivot) else 0.0}
        if diagnosis.images is not None and diagnosis.predicted is not None:
            image = diagnosis.images[f]
            band["image"] = pack(image, _step(image, _typical(np.abs(image - diagnosis.predicted[f]))))
        if diagnosis.bandpasses is not None:
            bandpass = diagnosis.bandpasses[f]
            band["bandpass"] = pack(bandpass, bandpass.max() * 1e-5)
        bands.append(band)
    return bands


def _spectra(diagnosis):
    """Spectra of the cube."""
    if diagnosis.spectra is None:
        return None
    unknown = np.iinfo(np.int16).min
    rest = np.where(diagnosis.spectra == unknown, np.nan, diagnosis.spectra)
    return {
        "rest": pack(rest, 1.0),
        "step": pack_floats(diagnosis.spectra_step),
        "coefficients": pack_floats(diagnosis.spectra_coefficients),
        "averaged": int(diagnosis.channels_averaged),
    }


def explorer_figures(content):
    """
    Make the explorer's figures, empty: the page fills them.

    Parameters
    ----------
    content : ReportContent
        The content.

    Returns
    -------
    dict of bokeh.models.Plot
        ``fused``, ``spectrum`` and, if the product holds them, ``nirspec`` and ``nircam``.
    """
    ny, nx = content.inside.shape
    cell = content.frame.cell
    marker = ColumnDataSource({"x": [], "y": []}, name="marker-source")
    aperture = ColumnDataSource({"xs": [], "ys": []}, name="aperture-source")
    shapes = {"fused": (ny, nx)}
    if content.diagnosis.spectra is not None:
        shapes["nirspec"] = content.diagnosis.spectra.shape[1:]
    if content.diagnosis.images is not None and content.bands:
        shapes["nircam"] = (ny, nx)
    side = max(nx, ny) * cell / 2
    across, along = Range1d(-side, side), Range1d(-side, side)
    plots = {}
    for name, shape in shapes.items():
        plot = figure(
            name=name, sizing_mode="stretch_width", aspect_ratio=1.0,
            x_axis_label="x [arcsec]", y_axis_label="y [arcsec]", toolbar_location="above", tools=[],
            x_range=across, y_range=along, **_transparent(),
        )  # fmt: skip
        pixels = np.zeros(shape, dtype=np.uint32)
        source = ColumnDataSource({"image": [pixels]}, name=f"{name}-source")
        plot.image_rgba(
            image="image", source=source, x=-nx * cell / 2, y=-ny * cell / 2, dw=nx * cell, dh=ny * cell
        )
        _compass(plot, content.frame, min(nx, ny) * cell)
        plot.scatter("x", "y", source=marker, marker="cross", size=22, line_width=4, line_color="black")
        plot.scatter("x", "y", source=marker, marker="cross", size=20, line_width=2, line_color="#39d5ff")
        plot.patches("xs", "ys", source=aperture, fill_alpha=0, line_color="#39d5ff", line_width=2)
        select = BoxSelectTool(description="Drag an aperture", name=f"{name}-select")
        lasso = LassoSelectTool(description="Draw a polygon", continuous=False, name=f"{name}-lasso")
        wheel = WheelZoomTool()
        plot.add_tools(select, lasso, PanTool(), wheel, ResetTool(), SaveTool(filename=name))
        plot.toolbar.active_drag, plot.toolbar.logo = select, None
        plots[name] = plot
    plots["spectrum"] = _spectrum_figure(content)
    return plots


def _transparent():
    """Options of a figure that takes the page's background."""
    return {"background_fill_alpha": 0, "border_fill_alpha": 0, "outline_line_color": None}


def _compass(plot, frame, extent):
    """Arrows to the north and to the east in a corner."""
    directions = np.linalg.inv(
        np.reshape(frame.matrix, (2, 2))
    )  # cells for a step to the east and to the north
    steps = 0.09 * extent * directions.T / np.linalg.norm(directions, axis=0)[:, np.newaxis]
    corner = np.array([-0.37, -0.37]) * extent - steps.sum(axis=0) / 2
    for step, letter in zip(steps, "EN", strict=True):
        tip = corner + step
        for colour, width in (("black", 4), ("white", 1.5)):
            plot.segment(*corner[:, np.newaxis], *tip[:, np.newaxis], line_color=colour, line_width=width)
        at = corner + 1.4 * step
        plot.text(
            [at[0]], [at[1]], [letter], text_color="white", text_outline_color="black",
            text_align="center", text_baseline="middle", text_font_size="13px", text_font_style="bold",
        )  # fmt: skip


def _line_marks(plot):
    """Places and names of the lines, for the page to fill."""
    source = ColumnDataSource({"wavelength": [], "name": [], "height": []}, name="lines-source")
    plot.extra_y_ranges = {"height": Range1d(0, 1)}
    plot.vspan("wavelength", source=source, line_color="#8b949e", line_dash="dotted", line_alpha=0.8)
    plot.text(
        x="wavelength", y="height", text="name", source=source, y_range_name="height", angle=np.pi / 2,
        text_font_size="10px", text_baseline="bottom", x_offset=-1, name="lines-text",
    )  # fmt: skip


def _spectrum_figure(content):
    """Figure of a spectrum."""
    names = ("wavelength", "value", "low", "high", "nirspec")
    source = ColumnDataSource({name: [] for name in names}, name="spectrum-source")
    hover = ColumnDataSource({"wavelength": [], "value": []}, name="hover-source")
    plot = figure(
        name="spectrum", sizing_mode="stretch_width", height=330, x_axis_label="wavelength [um]",
        y_axis_label="brightness [MJy/sr]", tools="pan,xbox_zoom,xwheel_zoom,reset,save",
        toolbar_location="above", x_range=Range1d(*map(float, content.wavelength[[0, -1]])), **_transparent(),
    )  # fmt: skip
    plot.yaxis.name = "spectrum-axis"
    plot.toolbar.logo = None
    if content.diagnosis.spectra is not None:
        plot.step(
            "wavelength", "nirspec", source=source, color=NIRSPEC, line_alpha=0.7, mode="center",
            legend_label="NIRSpec spaxel",
        )  # fmt: skip
    plot.varea("wavelength", "low", "high", source=source, fill_color=FUSED, fill_alpha=0.35)
    plot.line("wavelength", "value", source=hover, color="#8b949e", line_width=1)
    plot.line(
        "wavelength", "value", source=source, color=FUSED, line_width=1.5, legend_label="fused, 1 sigma"
    )
    plot.y_range.renderers = list(plot.renderers)  # all but the marks of lines, for which it leaves room
    plot.y_range.range_padding = 0.5
    _line_marks(plot)
    now = Span(location=0, dimension="height", line_color="#39a0ff", line_dash="dashed", name="spectrum-now")
    plot.add_layout(now)
    plot.legend.location, plot.legend.orientation = "top_right", "horizontal"
    plot.legend.padding, plot.legend.label_text_font_size = 2, "11px"
    return plot
