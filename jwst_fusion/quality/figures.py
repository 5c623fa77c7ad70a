"""Figures of a fusion as PNG files, for talks: among them those of the paper."""

import io
from pathlib import Path

import numpy as np

from jwst_fusion.ownership import MARK

from .diagnosis import restore_spectra
from .explorer import FUSED, NIRSPEC, first_channel

__all__ = ["save_figures"]

#: Dots per inch.
DPI = 120

#: Places whose spectra are shown, and their colours in images and plots (paper, Figures 3 and 4).
PLACES = ("red", "black")


def save_figures(content, folder, stem, write):
    """
    Write the figures for which the content holds the data.

    Parameters
    ----------
    content : ReportContent
        The content.
    folder : str or path-like
        Where to write.
    stem : str
        Beginning of the files' names.
    write : callable
        ``write(path, data)`` writes bytes to a file.

    Returns
    -------
    list of pathlib.Path
        ``STEM_images.png`` (paper, Figure 2), ``_cube`` (3), ``_fused`` (4), ``_bands`` (E.1), ``_spectrum``
        (E.2), ``_held_out`` (E.4), ``_residuals`` and ``_resolution``.
    """
    from matplotlib.figure import Figure

    cube = None
    if content.diagnosis.spectra is not None:
        cube = restore_spectra(content.diagnosis, content.mean_spectrum, content.basis)
    paths = []
    for name, draw in _DRAWINGS.items():
        figure = Figure(layout="constrained", dpi=DPI)
        if draw(figure, content, cube):
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", metadata={"Software": MARK})
            path = Path(folder) / f"{stem}_{name}.png"
            write(path, buffer.getvalue())
            paths.append(path)
    return paths


def _show(axes, values, content, title, limits=None, colours="inferno"):
    """Draw an image in arcseconds."""
    half_x, half_y = (n * content.frame.cell / 2 for n in content.inside.shape[::-1])
    known = values[np.isfinite(values)]
    if limits is None and known.size:
        limits = np.percentile(known, (0.5, 99.5))
    low, high = (0.0, 1.0) if limits is None else limits
    image = axes.imshow(
        values, origin="lower", cmap=colours, vmin=low, vmax=high, interpolation="nearest",
        extent=(-half_x, half_x, -half_y, half_y),
    )  # fmt: skip
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    return image


def _places(content):
    """Cells (row, column) whose spectra are shown: the brightest, and one of median brightness."""
    alive = content.alive / max(content.alive.sum(), 1)
    level = np.where(content.inside, content.plane(alive), np.nan)
    median = np.nanmedian(level)
    brightest = np.unravel_index(np.nanargmax(level), level.shape)
    typical = np.unravel_index(np.nanargmin(np.abs(level - median)), level.shape)
    return brightest, typical


def _channels(content):
    """Two channels to show: the brightest known line, and the continuum."""
    alive = np.flatnonzero(content.alive)
    level = content.mean_spectrum[alive]
    line = first_channel(content)
    continuum = int(alive[np.argmin(np.abs(level - np.median(level)))])
    return line, continuum


def _images(figure, content, cube):
    """NIRCam's images (paper, Figure 2)."""
    return _row(figure, content, content.diagnosis.images, [f"NIRCam {row.filter}" for row in content.bands])


def _row(figure, content, images, titles):
    """One row of images."""
    if images is None or len(images) == 0:
        return False
    figure.set_size_inches(3 * len(images), 3.2)
    for axes, image, title in zip(np.ravel(figure.subplots(1, len(images))), images, titles, strict=False):
        bar = figure.colorbar(
            _show(axes, np.where(content.inside, image, np.nan), content, title), shrink=0.7
        )
        bar.ax.tick_params(labelsize=7)
    return True


def _slices_and_spectra(figure, content, slices, spectra, name):
    """Two slices with two places, and the spectra there."""
    channels = _channels(content)
    figure.set_size_inches(10, 6.5)
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    places = _places(content)
    for axes, values, channel in zip(above.subplots(1, 2), slices, channels, strict=True):
        image = _show(axes, values, content, f"{name} at {content.wavelength[channel]:.4f} um")
        above.colorbar(image, label="MJy/sr")
        for (row, column), colour in zip(places, PLACES, strict=True):
            x = (column + 0.5 - content.inside.shape[1] / 2) * content.frame.cell
            y = (row + 0.5 - content.inside.shape[0] / 2) * content.frame.cell
            axes.plot(x, y, "o", color=colour, markeredgecolor="white", markersize=6)
        axes.set_xlabel("x [arcsec]", fontsize=8)
    axes = below.subplots()
    for spectrum, colour in zip(spectra, PLACES, strict=True):
        axes.plot(content.wavelength, spectrum, color=colour, linewidth=0.8)
    for channel in channels:
        axes.axvline(content.wavelength[channel], color="grey", linestyle=":")
    axes.set_xlabel("wavelength [um]")
    axes.set_ylabel("brightness [MJy/sr]")
    return True


def _cube(figure, content, cube):
    """Slices and spectra of the NIRSpec cube (paper, Figure 3)."""
    if cube is None:
        return False
    blocks = [n // m for n, m in zip(content.inside.shape, cube.shape[1:], strict=True)]
    spectra = [cube[:, row // blocks[0], column // blocks[1]] for row, column in _places(content)]
    slices = [cube[channel] for channel in _channels(content)]
    return _slices_and_spectra(figure, content, slices, spectra, "NIRSpec cube")


def _fused(figure, content, cube):
    """Slices and spectra of the fused cube (paper, Figure 4)."""
    size = content.wavelength.size
    slices = [content.plane(np.eye(1, size, channel)[0]) for channel in _channels(content)]
    spectra = [content.spectrum(*place)[0] for place in _places(content)]
    return _slices_and_spectra(figure, content, slices, spectra, "fused cube")


def _bands(figure, content, cube, held_out=None):
    """Images and the fused cube through the bands (paper, Figures E.1 and E.4)."""
    diagnosis = content.diagnosis
    if diagnosis.images is None or diagnosis.predicted is None:
        return False
    chosen = [f for f, row in enumerate(content.bands) if held_out is None or row.held_out == held_out]
    if not chosen:
        return False
    figure.set_size_inches(3 * len(chosen), 5.8)
    for column, f in zip(figure.subplots(2, len(chosen), squeeze=False).T, chosen, strict=True):
        row = content.bands[f]
        image = np.where(content.inside, diagnosis.images[f], np.nan)
        predicted = np.where(content.inside, diagnosis.predicted[f], np.nan)
        known = image[np.isfinite(image)]
        limits = np.percentile(known, (0.5, 99.5)) if known.size else None
        _show(column[0], image, content, f"NIRCam {row.filter}", limits)
        title = f"fused: {row.psnr:.1f} dB, SSIM {row.ssim:.3f}"
        figure.colorbar(_show(column[1], predicted, content, title, limits), ax=column.tolist(), shrink=0.6)
    return True


def _held_out(figure, content, cube):
    """Images of the bands that were held out (paper, Figure E.4)."""
    return _bands(figure, content, cube, held_out=True)


def _spectrum(figure, content, cube):
    """Mean spectra and their relative difference (paper, Figure E.2)."""
    table = content.spectral
    if (
        not {"cube_mean", "fused_mean", "relative_error"} <= set(table)
        or not np.isfinite(table["cube_mean"]).any()
    ):
        return False
    figure.set_size_inches(9, 5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    above.plot(content.wavelength, table["cube_mean"], color=NIRSPEC, label="NIRSpec")
    above.plot(content.wavelength, table["fused_mean"], color=FUSED, linewidth=0.8, label="fused cube")
    above.set_ylabel("mean brightness [MJy/sr]")
    above.legend()
    below.plot(content.wavelength, 100 * table["relative_error"], color=FUSED, linewidth=0.8)
    below.set_ylabel("difference [%]")
    below.set_xlabel("wavelength [um]")
    return True


def _residuals(figure, content, cube):
    """Residual maps of the images."""
    residuals = content.diagnosis.image_residuals
    if residuals is None or len(residuals) == 0:
        return False
    figure.set_size_inches(3 * len(residuals), 3.2)
    panels = np.ravel(figure.subplots(1, len(residuals)))
    for axes, row, residual in zip(panels, content.bands, residuals, strict=False):
        image = _show(axes, residual, content, f"{row.filter} residual", (-5, 5), "RdBu_r")
    figure.colorbar(image, ax=panels.tolist(), label="standard errors", shrink=0.7)
    return True


def _resolution(figure, content, cube):
    """Width of the fused cube's response beside those of the instruments."""
    widths = content.spectral.get("psf_fwhm")
    if widths is None or not np.isfinite(widths).any():
        return False
    figure.set_size_inches(7, 4)
    axes = figure.subplots()
    axes.plot(content.wavelength, widths, color=FUSED, label="fused cube")
    diagnosis = content.diagnosis
    if diagnosis.psf_wavelength is not None:
        for name, values, colour in (
            ("NIRCam", diagnosis.psf_nircam, "#2da44e"), ("NIRSpec", diagnosis.psf_nirspec, NIRSPEC),
        ):  # fmt: skip
            if values is not None:
                axes.plot(diagnosis.psf_wavelength, values, "o-", color=colour, label=name)
    axes.set_xlabel("wavelength [um]")
    axes.set_ylabel("FWHM [arcsec]")
    axes.set_ylim(bottom=0)
    axes.legend()
    return True


_DRAWINGS = {
    "images": _images, "cube": _cube, "fused": _fused, "bands": _bands, "spectrum": _spectrum,
    "held_out": _held_out, "residuals": _residuals, "resolution": _resolution,
}  # fmt: skip
