"""The report of a fusion, a single page without external resources."""

import json
from importlib.resources import files

import bokeh
from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from bokeh.resources import Resources
from jinja2 import Environment
from markupsafe import Markup

import jwst_fusion

from .explorer import PALETTES, explorer_data, explorer_figures, first_channel
from .lines import lines_between
from .sections import quality_sections
from .verdict import judge, measure

__all__ = ["report_page"]


def report_page(content):
    """
    Write a report as HTML.

    Parameters
    ----------
    content : ReportContent
        The content.

    Returns
    -------
    str
        The page. It refers to nothing outside of itself; text from the product is escaped.
    """
    sections = quality_sections(content)
    figures = explorer_figures(content)
    curves = {curve.key: curve.plot for section in sections for curve in section.curves}
    wavelength = content.wavelength
    fusion = content.settings
    subtitle = ", ".join(
        words
        for words in (
            content.target,
            f"{wavelength[0]:.3f} to {wavelength[-1]:.3f} um in {wavelength.size} channels",
            f"{content.inside.shape[1]} x {content.inside.shape[0]} cells of {content.frame.cell:.4f} arcsec",
            f"bands {', '.join(row.filter for row in content.bands)}" if content.bands else "",
            f"association {fusion['asn_name']}" if fusion.get("asn_name") else "",
        )
        if words
    )
    template = Environment(autoescape=True, trim_blocks=True).from_string(_packaged("report.html"))
    return template.render(
        name=content.name,
        subtitle=subtitle,
        version=jwst_fusion.__version__,
        bokeh_version=bokeh.__version__,
        verdict=judge(measure(content)),
        sections=sections,
        n_wave=wavelength.size,
        first_channel=first_channel(content),
        lines=lines_between(wavelength[0], wavelength[-1]),
        bands=[row.filter for row in content.bands] if content.diagnosis.bandpasses is not None else [],
        palettes=list(PALETTES),
        has_spectra="nirspec" in figures,
        has_images="nircam" in figures,
        css=Markup(_packaged("report.css")),
        script=_script(_packaged("science.js") + _packaged("regions.js") + _packaged("report.js")),
        library=_script(_bokeh_script()),
        data=_json(explorer_data(content)),
        plots=_json(_plots({**figures, **curves})),
    )


def _packaged(name):
    """Text of a packaged file."""
    return files("jwst_fusion.quality").joinpath("templates", name).read_text(encoding="utf-8")


def _bokeh_script():
    """BokehJS without widgets, tables, WebGL and MathJax, which the page does not use."""
    resources = Resources(mode="inline", components=["bokeh"], minified=True, log_level="error")
    return "\n".join(resources.js_raw)


def _script(text):
    """Wrap a program in a script element, which it must not end."""
    return Markup(text.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _json(value):
    """Write JSON that is safe within a script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _plots(figures):
    """Return Bokeh's figures, their common document, and the place of each in the page."""
    document = Document()
    with document.models.freeze():  # or each root has the models of all roots counted again
        for plot in figures.values():
            document.add_root(plot)
    roots = {plot.id: key for key, plot in figures.items()}
    item = {"docid": "report", "roots": roots, "root_ids": list(roots)}
    return {"docs": {"report": json.loads(serialize_json(document.to_json(deferred=False)))}, "items": [item]}
