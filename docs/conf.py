"""How the documentation site is built.

    python -m sphinx -W --keep-going -b html docs build/site

The pages are Markdown, as they stand here; those of the interface come from docstrings. Opened in a
browser, the site asks for nothing from the network: equations are pictures inside of its pages.
"""

import sys
from pathlib import Path

import rbm_sym

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "rbm_sym"
copyright = "the authors of rbm_sym"
version = release = rbm_sym.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "equations",
    "docstrings",
    "source_pages",
]
exclude_patterns = ["extensions", "templates"]
templates_path = ["templates"]

# --- Markdown, as GitHub reads it ---

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
# Every heading can be linked to, by GitHub's name for it.
myst_heading_anchors = 3
# "source" is what source_pages makes of links to files outside of docs.
myst_url_schemes = {"http": None, "https": None, "source": None}

# What has no name of a language is a command or what a program prints.
highlight_language = "text"

# --- Docstrings ---

# What stands between single backticks is a name, and a link where that name has a page.
default_role = "py:obj"
autosummary_generate = True
autodoc_member_order = "bysource"
# Docstrings say more of shapes and ranges than annotations can.
autodoc_typehints = "none"
numpydoc_show_class_members = False
maximum_signature_line_length = 88

# --- The site ---

html_theme = "furo"
html_title = "rbm_sym"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
