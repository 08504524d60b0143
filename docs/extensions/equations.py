"""Equations as pictures inside of the page: no script, no font and no network draws them.

A formula that cannot be drawn is a warning, which ends the build.
"""

from xml.etree import ElementTree

import ziamath
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

# In pixels, as the theme's text.
SIZE = 16
# Decimals of the outlines: a hundredth of a pixel cannot be seen.
ziamath.config.precision = 2
# Each picture has its outlines in itself, without names that would be the page's.
ziamath.config.svg2 = False

logger = logging.getLogger(__name__)


def setup(app):
    app.add_html_math_renderer("pictures", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(translator, node):
    translator.body.append(f'<span class="math">{picture(node, inline=True)}</span>')
    raise nodes.SkipNode


def visit_block(translator, node):
    translator.body.append(f'<div class="math">{picture(node, inline=False)}</div>\n')
    raise nodes.SkipNode


def picture(node, inline):
    """The SVG element of a formula, which stands on the line of the text around it."""
    tex = node.astext()
    try:
        # What it does not know it shows as text.
        if "\\" in convert(tex):
            raise ValueError("it has a command that is not known")
        formula = ziamath.Latex(tex, size=SIZE, inline=inline, color="currentColor")
        svg = formula.svgxml()
    except Exception as error:  # of whatever class the two libraries have
        logger.warning("equation %r cannot be drawn: %r", tex, error, location=node)
        return ""
    svg.set("role", "img")
    svg.set("aria-label", " ".join(tex.split()))
    if inline:
        svg.set("style", f"vertical-align: {formula.getyofst():.2f}px")
    return ElementTree.tostring(svg, encoding="unicode")
