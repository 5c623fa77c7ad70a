"""A picture of a library: PSFs, their widths and encircled energies, throughputs."""

import numpy as np

from jwst_fusion.coregistration.ranges import fusion_range
from jwst_fusion.optics.psf import encircled_energy, fwhm
from jwst_fusion.optics.throughput import pivot_wavelength, transmission

__all__ = ["psf_figure"]

#: Radii of the encircled energy [arcsec].
RADII = (0.05, 0.1, 0.2, 0.5)

#: Wavelengths at which a library is looked at.
SAMPLES = 12

#: Half side of the PSFs as drawn [arcsec].
REACH = 0.75

COLOURS = ("tab:blue", "tab:red", "tab:green", "tab:purple")


def psf_figure(entries, filters):
    """
    Draw a library.

    Parameters
    ----------
    entries : sequence of LibraryEntry
        PSFs.
    filters : sequence of str
        Effective bands whose throughputs are drawn, with the range in which they are fused.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=(1, 1.1))
    _draw_images(figure, rows[0].subgridspec(1, 2 * len(entries)), entries)
    width, energy, curves = rows[1].subgridspec(1, 3).subplots()
    for entry, colour in zip(entries, COLOURS * len(entries), strict=False):
        at, widths, energies = _measure(entry.psf)
        width.plot(at, 1000 * widths, "o-", ms=3, color=colour, label=_label(entry))
        for radius, shares, style in zip(RADII, energies.T, ("-", "--", "-.", ":"), strict=True):
            label = f'{radius}"' if entry is entries[0] else None
            energy.plot(at, shares, style, color=colour, label=label)
    width.set(xlabel="wavelength [µm]", ylabel="FWHM [mas]", title="Width")
    width.legend(fontsize=8)
    energy.set(xlabel="wavelength [µm]", title="Encircled energy", ylim=(0, 1))
    energy.legend(title="radius", fontsize=8)
    _draw_throughputs(curves, filters)
    return figure


def _draw_images(figure, place, entries):
    """PSFs of the shortest and the longest wavelength of each entry, logarithmic."""
    from matplotlib.colors import LogNorm

    axes = place.subplots()
    for entry, pair in zip(entries, axes.reshape(-1, 2), strict=True):
        psf = entry.psf
        for index, axis in zip((0, -1), pair, strict=True):
            image = np.asarray(psf.images[index], dtype=np.float64)
            half = psf.pixel_scale * image.shape[0] / 2
            image = np.clip(image / image.max(), 1e-5, 1)
            drawn = axis.imshow(
                image, norm=LogNorm(1e-5, 1), extent=(-half, half, -half, half), origin="lower", cmap="magma"
            )
            reach = min(REACH, half)
            axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="arcsec")
            axis.set_title(f"{_label(entry)}\n{psf.wavelength[index]:.3f} µm", fontsize=9)
            if axis is not axes[0]:
                axis.tick_params(labelleft=False)
    figure.colorbar(drawn, ax=list(axes), label="PSF over its peak", shrink=0.7)


def _measure(psf):
    """Wavelengths [um], widths [arcsec] and encircled energies of a few of the PSFs."""
    chosen = np.unique(np.linspace(0, len(psf.wavelength) - 1, SAMPLES).astype(int))
    images = [np.asarray(psf.images[i], dtype=np.float64) for i in chosen]
    widths = np.array([fwhm(image, psf.pixel_scale) for image in images])
    energies = np.array(
        [
            np.asarray(encircled_energy(image, psf.pixel_scale, np.array(RADII))) * image.sum()
            for image in images
        ]
    )
    return psf.wavelength[chosen], widths, energies


def _draw_throughputs(axis, filters):
    """Throughputs of the bands, and the range of the fusion."""
    curves = [transmission(name, "MULTIPLE") for name in filters]
    top = max(throughput.max() for _, throughput in curves)
    for index, (name, curve) in enumerate(zip(filters, curves, strict=True)):
        line = axis.plot(*curve, lw=1)[0]
        place = pivot_wavelength(name, "MULTIPLE"), top * (1.02 + 0.05 * (index % 3))
        axis.annotate(name, place, fontsize=7, color=line.get_color(), ha="center", va="bottom")
    low, high = fusion_range(filters)
    axis.axvspan(low, high, color="0.9", zorder=0)
    axis.set(xlabel="wavelength [µm]", title=f"Throughputs; fused from {low:.2f} to {high:.2f} µm")
    axis.set_ylim(0, 1.2 * top)


def _label(entry):
    """Name of an entry."""
    return " ".join(word for word in (entry.instrument, entry.channel, entry.grating) if word)
