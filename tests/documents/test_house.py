"""docs/house.svg is what the code's own imports draw."""

from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

from draw_house import COLORS, floors_of, house, rooms_and_imports, without_implied
from programs import ROOT

import rbm_sym

PACKAGE = Path(rbm_sym.__file__).parent
COMMITTED = ROOT / "docs" / "house.svg"
SVG = "{http://www.w3.org/2000/svg}"


def boxes():
    """[(left, top, right, bottom)] of the rooms that are drawn, and their names."""
    picture = ElementTree.fromstring(COMMITTED.read_text())
    found, names = [], []
    for shape, after in pairwise(picture):
        if shape.get("fill") in COLORS.values() and after.get("text-anchor") == "middle":
            left, top = float(shape.get("x")), float(shape.get("y"))
            right = left + float(shape.get("width"))
            found.append((left, top, right, top + float(shape.get("height"))))
            names.append(after.text)
    width, height = (float(picture.get(side)) for side in ("width", "height"))
    return found, names, (width, height)


def test_it_is_what_the_command_draws():
    assert COMMITTED.read_text() == house(), "run python scripts/upkeep/draw_house.py"


def test_every_part_of_the_package_is_a_room():
    _, names, _ = boxes()
    files = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")} - {"link/"}
    backends = {f"link/{path.parent.name}/" for path in PACKAGE.glob("link/*/__init__.py")}
    assert len(set(names)) == len(names)
    assert {name for name in names if not name.startswith("scripts/")} == files | folders | backends


def test_rooms_lie_apart_within_the_picture():
    found, _, (width, height) = boxes()
    for left, top, right, bottom in found:
        assert 0 < left < right < width and 0 < top < bottom < height
    for one, other in combinations(found, 2):
        assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]


def test_imports_are_found_by_whatever_name_they_have():
    imports = rooms_and_imports()
    assert imports["rbm.py"] >= {"energy.py", "gibbs.py", "streams/", "internal/"}
    # From the package itself, by the name that it gives to RBM.
    assert "rbm.py" in imports["scripts/"]
    assert imports["internal/"] == set()
    assert "link/numba/" in imports["rewrites/"]


def test_what_follows_is_left_out_and_rooms_stand_above_what_they_import():
    imports = {"c": {"a", "b"}, "b": {"a"}, "a": set(), "scripts/": {"a"}}
    assert without_implied(imports) == {"c": {"b"}, "b": {"a"}, "a": set(), "scripts/": {"a"}}
    assert floors_of(imports) == {"a": 0, "b": 1, "c": 2, "scripts/": 2}
