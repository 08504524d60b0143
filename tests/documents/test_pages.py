"""All pages: for whom they are, where their links lead, what their commands name."""

import re
from itertools import pairwise

import pytest
from pages import GUIDES, PAGES, README, links, listings, prose, sections, tables
from programs import ROOT, path_of

OPTIONS_OF_PROGRAMS = ["rbm_sym/runs/options.py"]
OPTIONS_OF_TESTS = ["tests/conftest.py"]
PYTESTS = {"-m", "-k", "-n", "-s"}


@pytest.fixture(params=PAGES, ids=lambda path: path.name)
def page(request):
    return request.param


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_a_guide_says_for_whom_it_is(guide):
    title, blank, first, *_ = guide.read_text().splitlines()
    assert title.startswith("# ") and not blank and first.startswith("For ")


def test_links_lead_somewhere(page):
    for target in links(page):
        path, _, section = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), target
        assert not section or section in sections(found), target


def test_every_guide_is_found_from_the_readme():
    reached, unseen = set(), [README]
    while unseen:
        page = unseen.pop()
        reached.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        unseen += targets & set(GUIDES) - reached
    assert reached == set(PAGES)


def test_every_picture_is_shown_on_a_page():
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    folder = ROOT / "docs"
    assert {*folder.glob("*.png"), *folder.glob("tutorial/*.png")} <= shown


def test_pages_are_plain_markdown(page):
    text = prose(page)
    assert not re.search(r"</?\w+[^>]*>", text)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert levels[0] == 1 and 1 not in levels[1:]
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_files_that_are_named_exist(page):
    """But for names in capitals, which stand for any."""
    for path in re.findall(r"\b(?:docs|rbm_sym|scripts|tests)/[\w/.]*\w", page.read_text()):
        found = ROOT / path
        assert found.exists() or path.endswith("NAME.py"), path


def option_names(paths):
    sources = "".join((ROOT / path).read_text() for path in paths)
    return set(re.findall(r"[\"'](--?[a-zA-Z][\w-]*)[\"']", sources))


def test_commands_name_options_that_there_are(page):
    commands = re.findall(r"python (scripts/[\w/]+\.py)([^\n`]*)", page.read_text())
    for program, rest in commands:
        if program.endswith("NAME.py"):
            continue
        known = option_names([path_of(program), *OPTIONS_OF_PROGRAMS]) | {"--help"}
        # What follows is another command.
        given = re.findall(r" (--?[a-zA-Z][\w-]*)", rest.partition("&&")[0])
        assert set(given) <= known, program


def test_tests_that_are_named_exist(page):
    """Their file, what `-k` chooses in it, and their options."""
    known = option_names(OPTIONS_OF_TESTS) | PYTESTS
    named = re.findall(r"(tests/[\w/]+\.py)((?: --?[a-z-]+(?: (?!-)[^\s`]+)?)*)", page.read_text())
    for path, rest in named:
        assert set(re.findall(r" (--?[a-z][a-z-]*)", rest)) <= known, rest
        for chosen in re.findall(r" -k (\w+)", rest):
            assert re.search(rf"def test\w*{chosen}", (ROOT / path).read_text()), chosen


def test_every_page_of_listings_is_run_by_a_test():
    run = {"README", "tutorial", "models", "porting", "runs", "likelihood", "deep_networks", "data"}
    assert {page.stem for page in PAGES if listings(page)} == run


# The page on the house.

HOUSE = ROOT / "docs" / "architecture.md"


def test_every_part_of_the_package_has_its_row():
    listed = [row[0] for row in tables(HOUSE) if re.fullmatch(r"`\w+(\.py|/)`", row[0])]
    package = ROOT / "rbm_sym"
    modules = {f"`{path.name}`" for path in package.glob("*.py") if path.stem != "__init__"}
    folders = {f"`{path.parent.name}/`" for path in package.glob("*/__init__.py")}
    assert len(listed) == len(set(listed)) and set(listed) == modules | folders


def test_functions_on_the_way_of_an_update_are_where_the_page_says():
    steps = [row for row in tables(HOUSE) if len(row) == 3]
    assert len(steps) > 20
    for _, function, path in steps:
        name = function.strip("`")
        source = (ROOT / path.strip("`")).read_text()
        assert re.search(rf"^ *(def|class) {name}\b|^{name} = ", source, flags=re.MULTILINE), name
