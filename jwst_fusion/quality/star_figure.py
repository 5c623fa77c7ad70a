"""A picture of PSFs measured on stars: the stars, what the fit leaves, the wavefront, encircled energies."""

import numpy as np

from jwst_fusion.optics.psf import encircled_energy, fwhm

__all__ = ["star_figure"]

#: Radii of the encircled energy [arcsec].
RADII = np.array([0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2])

#: Residuals over the star's peak at the ends of the colours.
RESIDUAL = 0.01


def star_figure(measured, bands):
    """
    Draw a measurement.

    Parameters
    ----------
    measured : MeasuredPsf
        PSFs of a channel.
    bands : dict of tuple
        PSF of each band as measured and as assumed, both (n, n), and the side of their cells [arcsec].

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    from matplotlib.figure import Figure

    columns = max(2 * len(pictures) for pictures in measured.pictures.values())
    figure = Figure(figsize=(1.5 * columns + 1, 1.7 * len(bands) + 4), layout="constrained")
    stars, plots = figure.subfigures(2, 1, height_ratios=(1.6 * len(bands), 4))
    for axes, name in zip(stars.subplots(len(bands), columns, squeeze=False), bands, strict=True):
        _draw_stars(axes, name, measured)
    wavefront, energy, width = plots.subplots(1, 3)
    _draw_wavefront(plots, wavefront, measured.psf)
    for index, (name, (seen, assumed, cell)) in enumerate(bands.items()):
        colour = f"C{index}"
        energies = [np.asarray(encircled_energy(psf, cell, RADII)) for psf in (seen, assumed)]
        energy.plot(RADII, energies[0], color=colour, label=name)
        energy.plot(RADII, energies[1], ":", color=colour)
        widths = [1000 * fwhm(psf, cell) for psf in (seen, assumed)]
        width.plot(index, widths[0], "o", color=colour)
        width.plot(index, widths[1], "o", mfc="none", color=colour)
    energy.set(xscale="log", xlabel="radius [arcsec]", title="Encircled energy", ylim=(0, 1))
    energy.legend(fontsize=8, title="dotted: assumed", title_fontsize=8)
    width.set(ylabel="FWHM [mas]", title="Width with pixels (open: assumed)")
    width.set_xticks(range(len(bands)), list(bands))
    return figure


def _draw_stars(axes, name, measured):
    """Stars of a band, and beside each what the fit leaves of it."""
    for axis in axes:
        axis.set(xticks=[], yticks=[], frame_on=False)
    for (star, left), pair in zip(measured.pictures.get(name, ()), axes.reshape(-1, 2), strict=False):
        pair[0].imshow(np.arcsinh(200 * star), origin="lower", cmap="magma", vmin=0, vmax=np.arcsinh(200))
        pair[1].imshow(left, origin="lower", cmap="RdBu_r", vmin=-RESIDUAL, vmax=RESIDUAL)
    axes[0].set_ylabel(name)
    axes[0].set_title("star", fontsize=8)
    percent = 100 * measured.error.get(name, np.nan)
    axes[1].set_title(f"residual ±{100 * RESIDUAL:g} %; error {percent:.1f} %", fontsize=8)


def _draw_wavefront(figure, axis, psf):
    """Map of the wavefront on the pupil, V3 up."""
    amplitude, wavefront = psf.wavefront()
    shown = np.where(amplitude > 0.5, wavefront, np.nan)
    rms = np.nanstd(shown)
    drawn = axis.imshow(shown, origin="lower", cmap="RdBu_r", vmin=-3 * rms, vmax=3 * rms)
    axis.set(xticks=[], yticks=[], title=f"Wavefront, {rms:.0f} nm rms", xlabel="V3 up, V2 left")
    figure.colorbar(drawn, ax=axis, label="nm", shrink=0.8)
