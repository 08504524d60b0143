"""Draw docs/house.svg, the picture of the house, from the imports of the code.

A room is a file or folder of the package, or a folder of programs. It stands as low as what it
imports allows; programs stand under the roof. An arrow leads from a room to one that it imports.
Left out is an arrow to what another room, which is imported too, imports anyway.
"""

import argparse
import ast
from itertools import combinations, pairwise
from pathlib import Path
from xml.sax.saxutils import escape

from rbm_sym.runs.options import some_path

ROOT = Path(__file__).parents[2]
PACKAGE, PROGRAMS = ROOT / "rbm_sym", ROOT / "scripts"

# In pixels.
FONT, CHARACTER = 13, 7.8
BOX_HEIGHT, FLOOR_HEIGHT, ROOF_HEIGHT = 30, 76, 56
GAP, MARGIN = 16, 28
COLORS = {"a file": "#fbf0cc", "a folder": "#dcebfb", "programs": "#dff1dc"}
# Enough for the order on the floors, and then for the places, to settle.
SWEEPS = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output",
        type=some_path,
        default=ROOT / "docs" / "house.svg",
        help="default: %(default)s",
    )
    parser.parse_args().output.write_text(house())


def house():
    """The text of the picture."""
    imports = without_implied(rooms_and_imports())
    floors, edges = with_tracks(floors_of(imports), imports)
    floors = with_few_crossings(floors, edges)
    return drawing(floors, edges, places(floors, edges))


# --- Who imports whom ------------------------------------------------------------------------


def rooms_and_imports():
    """{room: set of the rooms that it imports}"""
    door = PACKAGE / "__init__.py"
    behind_door = names_by_module(door)
    imports = {}
    for path in sorted(PACKAGE.rglob("*.py")) + sorted(PROGRAMS.rglob("*.py")):
        if path == door:
            continue
        files = {file_of(name, behind_door) for name in names_imported(path)}
        imports.setdefault(room_of(path), set()).update(room_of(f) for f in files - {None, door})
    # The folder of the backends is no room itself.
    imports.pop("link/", None)
    return {room: imported - {room} for room, imported in imports.items()}


def names_imported(path):
    """The whole names of all that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names_by_module(path):
    """{name: name of the module that it is imported from}, of a file."""
    return {name.rpartition(".")[2]: name.rpartition(".")[0] for name in names_imported(path)}


def file_of(name, behind_door):
    """The package's file that a whole name is from, such as rbm_sym.gibbs.gibbs_chain; or None."""
    package, *names = name.split(".")
    if package != PACKAGE.name:
        return None
    if len(names) == 1 and names[0] in behind_door:
        return file_of(behind_door[names[0]], {})
    for length in range(len(names), -1, -1):
        path = PACKAGE.joinpath(*names[:length])
        for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if file.exists():
                return file
    return None


def room_of(file):
    """What a file's room is called: a folder with a slash, a backend by its own folder."""
    if file.is_relative_to(PROGRAMS):
        return f"{file.relative_to(ROOT).parent.as_posix()}/"
    folder, *others = file.relative_to(PACKAGE).parts
    if not others:
        return folder
    return f"{folder}/{others[0]}/" if len(others) > 1 else f"{folder}/"


def without_implied(imports):
    """Without the rooms that one of the other imported rooms imports, itself or through others."""

    def below(room):
        return {room}.union(*map(below, imports[room]))

    return {
        room: {
            one for one in imported if not any(one in below(other) for other in imported - {one})
        }
        for room, imported in imports.items()
    }


# --- Where it stands -------------------------------------------------------------------------


def floors_of(imports):
    """{room: number of its floor from the ground, 0}"""
    numbers = {}

    def number(room):
        if room not in numbers:
            numbers[room] = 1 + max(map(number, imports[room]), default=-1)
        return numbers[room]

    top = max(map(number, imports))
    return {room: top if is_programs(room) else number(room) for room in imports}


def is_programs(room):
    return room.startswith(f"{PROGRAMS.name}/")


def with_tracks(numbers, imports):
    """The rooms on their floors, and the way of each arrow through the floors.

    On each floor between its two rooms, an arrow has a place of its own, a track.

    Returns
    -------
    floors : list of lists, from the ground, of rooms and of tracks (from, to, floor)
    edges : list of lists, each a room, the tracks of an arrow, and the room that it leads to
    """
    floors = [[] for _ in range(1 + max(numbers.values()))]
    for room in sorted(imports):
        floors[numbers[room]].append(room)
    edges = []
    for room in sorted(imports):
        for imported in sorted(imports[room]):
            between = range(numbers[room] - 1, numbers[imported], -1)
            tracks = [(room, imported, floor) for floor in between]
            for track in tracks:
                floors[track[2]].append(track)
            edges.append([room, *tracks, imported])
    return floors, edges


def neighbours(edges):
    """{room or track: what arrows connect it with}"""
    found = {}
    for edge in edges:
        for one, other in pairwise(edge):
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return found


def with_few_crossings(floors, edges):
    """The floors in an order in which few arrows cross, found by sweeps up and down."""
    beside = neighbours(edges)
    best = floors
    for sweep in range(SWEEPS):
        floors = [list(floor) for floor in floors]
        up = sweep % 2 == 0
        for floor in floors[1:] if up else floors[-2::-1]:
            index = floors.index(floor)
            fixed = {one: i for i, one in enumerate(floors[index - 1 if up else index + 1])}

            def middle(one, fixed=fixed, floor=floor):
                ends = [fixed[other] for other in beside.get(one, ()) if other in fixed]
                return sum(ends) / len(ends) if ends else floor.index(one)

            floor[:] = sorted(floor, key=middle)
        if crossings(floors, edges) < crossings(best, edges):
            best = floors
    return best


def crossings(floors, edges):
    """How many pairs of arrows cross between two floors."""
    place = {one: i for floor in floors for i, one in enumerate(floor)}
    number = {one: n for n, floor in enumerate(floors) for one in floor}
    between = {}
    for edge in edges:
        for upper, lower in pairwise(edge):
            between.setdefault(number[upper], []).append((place[upper], place[lower]))
    return sum(
        (a - c) * (b - d) < 0
        for ends in between.values()
        for (a, b), (c, d) in combinations(ends, 2)
    )


def places(floors, edges):
    """{room or track: x of its middle}, each near what it is connected with."""
    beside = neighbours(edges)
    x = {}
    for floor in floors:
        x |= pressed(floor, {one: 0.0 for one in floor})
    for sweep in range(SWEEPS):
        for floor in floors if sweep % 2 else reversed(floors):
            x |= pressed(floor, {one: middle_of(one, beside.get(one, ()), x) for one in floor})
    left = min(x[one] - width(one) / 2 for one in x)
    return {one: middle - left + MARGIN for one, middle in x.items()}


def middle_of(one, others, x):
    """Where something is best placed between the others; long arrows are to be straight."""
    weights = [8 if is_track(one) and is_track(other) else 1 for other in others]
    total = sum(weight * x[other] for weight, other in zip(weights, others, strict=True))
    return total / sum(weights) if others else x[one]


def is_track(one):
    return isinstance(one, tuple)


def pressed(floor, wanted):
    """Places in this order, near the wanted ones, that do not overlap."""
    gaps = [(width(one) + width(other)) / 2 + GAP for one, other in pairwise(floor)]
    from_left = [wanted[one] for one in floor]
    for i, gap in enumerate(gaps):
        from_left[i + 1] = max(from_left[i + 1], from_left[i] + gap)
    from_right = [wanted[one] for one in floor]
    for i, gap in reversed([*enumerate(gaps)]):
        from_right[i] = min(from_right[i], from_right[i + 1] - gap)
    # Both keep the distances, and so does their mean.
    return {one: (a + b) / 2 for one, a, b in zip(floor, from_left, from_right, strict=True)}


def width(one):
    return 2 if is_track(one) else len(one) * CHARACTER + 18


# --- The drawing -----------------------------------------------------------------------------


def drawing(floors, edges, x):
    """The text of an SVG file."""
    right = max(x[one] + width(one) / 2 for one in x) + MARGIN
    ground = ROOF_HEIGHT + len(floors) * FLOOR_HEIGHT
    y = {
        one: ground - (number + 0.5) * FLOOR_HEIGHT
        for number, floor in enumerate(floors)
        for one in floor
    }
    shapes = [
        f'<rect width="{right:.0f}" height="{ground + 40}" fill="white"/>',
        f'<path d="M4,{ROOF_HEIGHT} L{right / 2:.0f},4 L{right - 4:.0f},{ROOF_HEIGHT} Z" '
        'fill="#f4f4f4" stroke="#999"/>',
        text(right / 2, ROOF_HEIGHT - 18, PACKAGE.name),
        f'<rect x="4" y="{ROOF_HEIGHT}" width="{right - 8:.0f}" height="{ground - ROOF_HEIGHT}" '
        'fill="none" stroke="#999"/>',
    ]
    for number in range(1, len(floors)):
        line = ground - number * FLOOR_HEIGHT
        shapes.append(f'<path d="M4,{line} H{right - 4:.0f}" stroke="#e4e4e4"/>')
    shapes += arrows(edges, x, y)
    rooms = [one for floor in floors for one in floor if not is_track(one)]
    shapes += [box(room, x[room], y[room]) for room in rooms]
    shapes += legend(ground + 24)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:.0f} {ground + 40}" '
        f'width="{right:.0f}" height="{ground + 40}" role="img" font-family="monospace" '
        f'font-size="{FONT}">\n'
        "<title>The house: which room imports which</title>\n"
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 Z" fill="#556"/></marker></defs>\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )


def box(room, x, y):
    kind = "programs" if is_programs(room) else "a folder" if room.endswith("/") else "a file"
    left, top = x - width(room) / 2, y - BOX_HEIGHT / 2
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width(room):.1f}" height="{BOX_HEIGHT}" '
        f'rx="4" fill="{COLORS[kind]}" stroke="#667"/>' + text(x, y + FONT / 3, room)
    )


def text(x, y, words, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def arrows(edges, x, y):
    """Curves from the bottom of a room, straight through other floors, to the top of another."""
    starts, ends = ports(edges, x, 0), ports(edges, x, -1)
    half = BOX_HEIGHT / 2
    drawn = []
    for edge, start, end in zip(edges, starts, ends, strict=True):
        points = [(start, y[edge[0]] + half)]
        for track in edge[1:-1]:
            points += [(x[track], y[track] - half), (x[track], y[track] + half)]
        points.append((end, y[edge[-1]] - half))
        path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            bend = (y1 - y0) / 2
            path += f" C{x0:.1f},{y0 + bend:.1f} {x1:.1f},{y1 - bend:.1f} {x1:.1f},{y1:.1f}"
        drawn.append(f'<path d="{path}" fill="none" stroke="#556" marker-end="url(#arrow)"/>')
    return drawn


def ports(edges, x, end):
    """Where each arrow begins (end 0) or ends (end -1): beside one another, along the room."""
    following = 1 if end == 0 else -2
    found = [0.0] * len(edges)
    for room in {edge[end] for edge in edges}:
        of_room = [i for i, edge in enumerate(edges) if edge[end] == room]
        of_room.sort(key=lambda i: x[edges[i][following]])
        step = min(14, (width(room) - 12) / len(of_room))
        for place, i in enumerate(of_room):
            found[i] = x[room] + step * (place - (len(of_room) - 1) / 2)
    return found


def legend(y):
    shapes, x = [], MARGIN
    for kind, color in COLORS.items():
        shapes.append(
            f'<rect x="{x:.0f}" y="{y - 11}" width="14" height="14" rx="3" fill="{color}" '
            f'stroke="#667"/>' + text(x + 20, y, kind, anchor="start")
        )
        x += 44 + len(kind) * CHARACTER
    return [
        *shapes,
        text(
            x,
            y,
            "an arrow leads to what a room imports; those that follow are left out",
            anchor="start",
        ),
    ]


if __name__ == "__main__":
    main()
