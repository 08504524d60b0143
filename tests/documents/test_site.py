"""The documentation site and the page of a graph, opened in a browser that has no network.

    python -m sphinx -W --keep-going -b html docs build/site
    RBM_SYM_SITE=build/site python -m pytest tests/documents/test_site.py

Without the variable there is no site to look at, and all this is skipped. With it, Chromium and
Playwright must be there (the extra `site`).
"""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from programs import ROOT, run

pytestmark = pytest.mark.skipif(
    "RBM_SYM_SITE" not in os.environ, reason="RBM_SYM_SITE does not name a built site"
)

SITE = Path(os.environ.get("RBM_SYM_SITE", "")).resolve()
# Of a host that there is not.
ADDRESS = "http://site.invalid/"
# Made by Sphinx for all sites, and not a part of this one.
OTHERS = {"genindex.html", "py-modindex.html", "search.html"}
READ = """() => ({
    links: [...document.links].map(link => link.href),
    names: [...document.querySelectorAll("[id]")].map(element => element.id),
    pictures: [...document.images].map(image => [image.src, image.naturalWidth]),
    equations: [...document.querySelectorAll(".math svg")].map(svg => [
        svg.getBoundingClientRect().width, svg.querySelectorAll("path").length
    ]),
    text: document.querySelector("article").innerText,
    excess: document.documentElement.scrollWidth - innerWidth,
})"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "there is no chromium on the path"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = started.new_context(viewport={"width": 1200, "height": 900})
        # A busy machine is no error.
        context.set_default_timeout(300_000)
        yield context
        started.close()


@pytest.fixture(scope="module")
def complaints():
    """What went wrong in the browser, and what it asked for in vain or of others."""
    return []


@pytest.fixture(scope="module")
def page(browser, complaints):
    """A page of the browser, for which there is nothing in the world but the site."""
    page = browser.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)

    def answer(route):
        file = file_of(route.request.url)
        if file is not None and file.is_file():
            route.fulfill(path=file)
        else:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

    page.route("**/*", answer)
    return page


def file_of(address):
    """The file of the site behind an address, or None if it is another host's."""
    address = address.partition("#")[0].partition("?")[0]
    if not address.startswith(ADDRESS):
        return None
    return SITE / unquote(address.removeprefix(ADDRESS))


@pytest.fixture(scope="module")
def pages(page):
    """{path: what is on it} of all pages that can be reached by links from the first one."""
    found, waiting = {}, ["index.html"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        page.goto(ADDRESS + path)
        found[path] = page.evaluate(READ)
        files = {file_of(link) for link in found[path]["links"]} - {None}
        waiting += [name_of(file) for file in files if file.suffix == ".html" and file.is_file()]
    return found


def name_of(file):
    return file.relative_to(SITE).as_posix()


def test_no_link_is_dead(pages):
    dead = []
    for path, seen in pages.items():
        for link in seen["links"]:
            file, place = file_of(link), unquote(link.partition("#")[2])
            if file is None:
                assert link.startswith("https://"), f"{path}: {link}"
            elif not file.is_file() or (place and place not in pages[name_of(file)]["names"]):
                dead.append(f"{path}: {link}")
    assert dead == []
    assert any(link.endswith("/tutorial.ipynb") for link in pages["index.html"]["links"])


def test_every_page_can_be_reached(pages):
    assert set(map(name_of, SITE.rglob("*.html"))) - OTHERS == set(pages) - OTHERS
    assert {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")} <= set(pages)


def test_every_picture_is_there(pages):
    shown = [picture for seen in pages.values() for picture in seen["pictures"]]
    assert [source for source, width in shown if not width] == []
    for guide in (ROOT / "docs").glob("*.md"):
        written = re.findall(r"^!\[", guide.read_text(), re.MULTILINE)
        if guide.stem != "index":
            assert len(pages[f"{guide.stem}.html"]["pictures"]) == len(written), guide.stem


def test_equations_are_drawn(pages):
    text = (ROOT / "docs" / "tutorial.md").read_text()
    blocks = re.findall(r"^```(\w*)\n.*?^```$", text, flags=re.DOTALL | re.MULTILINE)
    between = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    written = blocks.count("math") + len(re.findall(r"\$[^$\n]+\$", between))
    assert len(pages["tutorial.html"]["equations"]) == written > 50
    for seen in pages.values():
        assert all(width > 2 and n_paths for width, n_paths in seen["equations"])
        assert not re.search(r"\\(frac|sum|log|mathbb)\b", seen["text"])


def test_no_page_is_wider_than_the_window(pages):
    assert [path for path, seen in pages.items() if seen["excess"] > 0] == []


def test_clicks_lead_where_they_say(page):
    page.goto(f"{ADDRESS}index.html")
    page.click(".sidebar-tree >> text=Models of your own")
    assert page.url == f"{ADDRESS}models.html"
    page.click(".sidebar-tree >> text=API")
    page.click("article >> text=Update rules")
    page.click("article >> text=rbm_sym.update_rules.momentum")
    name = "rbm_sym.update_rules.momentum"
    assert page.url == f"{ADDRESS}api/names/{name}.html#{name}"
    assert page.inner_text("h1").startswith("momentum")


def test_the_search_finds_a_name(page):
    page.goto(f"{ADDRESS}index.html")
    page.fill("input[name=q]", "ParallelTempering")
    page.press("input[name=q]", "Enter")
    page.wait_for_selector("ul.search li a")
    found = page.eval_on_selector_all("ul.search li a", "links => links.map(link => link.href)")
    assert any("rbm_sym.samplers.ParallelTempering.html" in link for link in found)


def test_nothing_went_wrong_and_nothing_was_asked_of_the_network(pages, complaints):
    assert complaints == []


def test_the_page_of_a_graph_is_drawn(browser, tmp_path):
    result = run("show_graph.py", "--n-visible", 5, "--n-hidden", 4, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    wrong, asked = [], []
    page = browser.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "graph.html").as_uri())
    assert wrong == []

    nodes = page.locator(".nodeEllipse, .nodeRect")
    nodes.nth(50).wait_for()
    n_nodes = nodes.count()
    page.locator("text=Scan").first.dblclick()
    # Those of the step that it repeats have joined them.
    nodes.nth(n_nodes + 5).wait_for()
    assert not re.search("NaN|undefined", page.locator("svg").first.inner_html())
    assert wrong == []
    assert asked == [(tmp_path / "graph.html").as_uri()]
