"""A page that draws graphs: PyTensor's d3viz in one file, which works without a network."""

import re
from pathlib import Path

from pytensor import d3viz
from pytensor.d3viz.d3viz import safe_json

from rbm_sym.internal.files import whole_file
from rbm_sym.pages.dot import COLORS


def write_graphs(path, graphs):
    """Write d3viz's page as one file that contains its styles and scripts.

    Parameters
    ----------
    path : path of the file
    graphs : dict from title to DOT source
    """
    folder = Path(d3viz.__file__).parent

    def style(match):
        return f"<style>\n{(folder / 'css' / match[1]).read_text('utf-8')}\n</style>"

    def script(match):
        return f"<script>\n{(folder / 'js' / match[1]).read_text('utf-8')}\n</script>"

    page = (folder / "html" / "template.html").read_text("utf-8")
    page = re.sub(r'<link rel="stylesheet" href="%% CSS_DIR %%/(.*?)"/>', style, page)
    page = re.sub(r'<script .*?src="%% JS_DIR %%/(.*?)"></script>', script, page)
    page = page.replace("%% DOT_GRAPH %%", "graphs[shown]")
    ours = Path(__file__).with_name("show_graph.js").read_text("utf-8")
    constants = f"const graphs = {safe_json(graphs)};\nconst colors = {safe_json(COLORS)};"
    page = page.replace("</head>", f"<script>\n{constants}\n{ours}</script>\n</head>")
    page = page.replace("<head>", '<head>\n<meta charset="utf-8">')
    with whole_file(path) as unfinished:
        unfinished.write_text(page, "utf-8")
