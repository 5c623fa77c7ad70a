"""Configuration of the documentation's build."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import jwst_fusion

project = "jwst_fusion"
author = "the jwst_fusion developers"
project_copyright = f"2026, {author}"
version = release = jwst_fusion.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "generated",
    "mathml",
    "notebooks",
]
exclude_patterns = ["_build", "_ext", "notebooks"]
suppress_warnings = ["ref.python"]  # one name in two modules is no mistake
default_role = "py:obj"


# Docstrings are numpydoc; their order of attributes is that of the source.
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"

html_math_renderer = "mathml"
html_theme = "sphinx_rtd_theme"
html_title = f"jwst_fusion {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_extra_path = ["notebooks"]
