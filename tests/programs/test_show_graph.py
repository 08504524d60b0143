"""The program that shows graphs: what it prints, and the page that it writes."""

import json
import re
from html.parser import HTMLParser

import pytest
from cases import mostly_slow
from programs import check_refusal, run

BEFORE, AFTER = "Before compilation", "After compilation"
COMPILED = ["SparseProduct", "MatrixPlusProduct", "VectorFunction"]
PARAMETERS = ["W", "hbias", "vbias"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def show(folder):
    """A function that runs the program and returns what it printed, by heading, and its page."""

    def run_once(*options):
        result = run("show_graph.py", *options, "--output", "new/graph.html", cwd=folder)
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
        start, *texts = re.split(r"=== (.*)\n", result.stdout)
        assert start == ""
        page = (folder / "new" / "graph.html").read_text("utf-8")
        return dict(zip(texts[::2], texts[1::2], strict=True)), page

    return run_once


@pytest.fixture(scope="module")
def pcd(show):
    return show("--n-visible", 5, "--n-hidden", 4)


@pytest.fixture(scope="module")
def cd(show):
    return show("--algorithm", "cd", "--k", 2, "--floatX", "float64")


class Page(HTMLParser):
    """The elements of a page with their attributes, its scripts and its style sheets."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.contents = [], {"script": [], "style": []}
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in self.contents:
            self.contents[tag].append("")

    def handle_data(self, data):
        if self.cdata_elem:
            self.contents[self.cdata_elem][-1] += data


def dot_sources(page):
    (source,) = re.findall(r"^const graphs = (.*);$", page, re.MULTILINE)
    return json.loads(source)


def attributes(text):
    """The attributes of a statement in DOT."""
    return {k: json.loads(v) for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', text)}


def parse_dot(source):
    """The vertices with their attributes, and the edges, as pairs."""
    vertices = re.findall(r"^(\w+) \[(.*)\];$", source, re.MULTILINE)
    edges = re.findall(r"^(\w+) -> (\w+) \[", source, re.MULTILINE)
    assert len(set(dict(vertices))) == len(vertices), "a vertex was declared twice"
    return {name: attributes(text) for name, text in vertices}, edges


def labels(source):
    return [vertex["label"] for vertex in parse_dot(source)[0].values()]


def scans(source):
    vertices, _ = parse_dot(source)
    return [name for name, vertex in vertices.items() if vertex["label"].startswith("Scan")]


def test_the_text_has_scan_gradients_and_updates(pcd):
    text, _ = pcd
    assert list(text) == [BEFORE, AFTER]
    for part in text.values():
        assert "Scan{" in part and "'monitoring cost'" in part
        for name in [*PARAMETERS, "persistent_chain", "bit_i_idx", "mrg_stream_1"]:
            assert f"'updated {name}'" in part
    assert all(f"'gradient of {name}'" in text[BEFORE] for name in PARAMETERS)
    step = text[BEFORE].split("Inner graphs:")[1]
    assert step.count("MRG31k3pBernoulli{") > 1 and "Sigmoid" in step


def test_our_operations_stand_only_in_the_compiled_graph(pcd, cd):
    for text, page in (pcd, cd):
        sources = dot_sources(page)
        for name in COMPILED:
            assert name in text[AFTER] and name not in text[BEFORE]
            assert name in sources[AFTER] and name not in sources[BEFORE]
        assert scans(sources[BEFORE]) and scans(sources[AFTER])


def test_only_pcd_has_a_persistent_chain(pcd, cd):
    assert "updated persistent_chain" in pcd[0][AFTER]
    assert "persistent_chain" not in cd[0][AFTER] + cd[1]


def test_without_rewrites_no_operation_of_theirs_is_there(show):
    text, page = show("--rewrites", "none")
    assert "Scan{" in text[AFTER] and "MRG31k3pBernoulli{" in text[AFTER]
    for name in COMPILED:
        assert name not in text[AFTER] + page


def test_the_page_needs_nothing_but_itself(pcd):
    page = Page(pcd[1])
    assert {tag for tag, _ in page.elements} >= {"html", "style", "script", "meta"}
    for tag, found in page.elements:
        assert tag != "link"
        assert not {"src", "href", "srcset", "data", "action"} & set(found), (tag, found)
    style = "\n".join(page.contents["style"])
    assert ".nodeInfo" in style
    assert "@import" not in style and "url(" not in style
    script = "\n".join(page.contents["script"])
    for library in ["d3.layout", "dagreD3", "graphlibDot", "function frontEndGraph", "contextMenu"]:
        assert library in script
    assert "%% " not in script
    assert not re.search(r"XMLHttpRequest\(\)\.open|fetch\(|import\(|sendBeacon|WebSocket", script)


def test_the_drawing_has_the_parameters_and_their_updates(pcd):
    sources = dot_sources(pcd[1])
    assert list(sources) == [BEFORE, AFTER]
    for source in sources.values():
        found = labels(source)
        for name in PARAMETERS:
            assert found.count(f"updated {name}") == 1 and name in found
        assert "x" in found and "monitoring cost" in found
    gradients = [label for label in labels(sources[BEFORE]) if "gradient of" in label]
    assert sorted(label.split(" → ")[1] for label in gradients) == [
        f"gradient of {name}" for name in PARAMETERS
    ]
    vertices, _ = parse_dot(sources[AFTER])
    outermost = [vertex for name, vertex in vertices.items() if re.fullmatch(r"v_\d+", name)]
    kinds = {vertex["label"]: vertex["node_type"] for vertex in outermost}
    assert kinds["SparseProduct{panels=True}"] == "operation of rbm_sym"
    assert kinds["W"] == "shared variable" and kinds["updated W"] == "result"


@pytest.mark.parametrize("title", [BEFORE, AFTER])
def test_every_edge_goes_on_inside_of_an_open_scan(pcd, title):
    source = dot_sources(pcd[1])[title]
    vertices, edges = parse_dot(source)
    assert {end for edge in edges for end in edge} <= set(vertices)

    (scan,) = scans(source)
    inside = {name for name in vertices if name.startswith(f"{scan}_")}
    assert f"subgraph {vertices[scan]['subg']} {{" in source
    into = json.loads(vertices[scan]["subg_map_inputs"].replace("'", '"'))
    out_of = json.loads(vertices[scan]["subg_map_outputs"].replace("'", '"'))
    inner_inputs = {name for name in inside if vertices[name]["node_type"] == "input"}
    inner_results = {name for name in inside if vertices[name]["node_type"] == "result"}
    assert {inner for _, inner in into} == inner_inputs
    assert all((outer, scan) in edges for outer, _ in into)
    assert {inner for inner, _ in out_of} <= inner_results
    assert {outer for _, outer in out_of} == {end for start, end in edges if start == scan}


def test_a_single_step_needs_no_scan_and_the_text_may_be_cut(show, pcd):
    text, page = show("--k", 1, "--depth", 3)
    assert "Scan{" not in text[BEFORE] + text[AFTER]
    sources = dot_sources(page)
    assert not any(scans(source) for source in sources.values())
    assert "updated W" in labels(sources[AFTER])

    # A gradient lies two levels below its update, and the products that it adds one more.
    assert "'gradient of W'" in text[BEFORE]
    assert "Dot " in pcd[0][BEFORE] and "Dot " not in text[BEFORE]


@pytest.mark.parametrize(
    ("options", "message"),
    mostly_slow(
        [
            (["--k", 0], "--k: .*not 0"),
            (["--k", 2**70], "--k: .*not "),
            (["--n-visible", "many"], "--n-visible: .*not many"),
            (["--n-hidden", 10**12], "--n-hidden: .*not 1000000000000"),
            (["--algorithm", "sgd"], "--algorithm: .*sgd"),
            (["--rewrites", "some"], "--rewrites: .*some"),
            (["--depth", 0], "--depth: .*not 0"),
            (["--output", "."], "this is a folder"),
            (["--output", "/proc/graph/graph.html"], "/proc/graph: cannot write"),
        ]
    ),
)
def test_bad_options_are_refused_in_one_line(folder, options, message):
    result = run("show_graph.py", *options, cwd=folder)
    check_refusal(result, message)
    assert result.stdout == ""
