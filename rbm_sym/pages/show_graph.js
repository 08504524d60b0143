// Added to the page of PyTensor's d3viz, so that it shows one of several graphs and lays it out
// without Graphviz. `graphs` has the DOT source of each title, `colors` the color of each kind of
// node.

// The part of the address after # is the title of the graph that is shown.
const shown = decodeURIComponent(location.hash.slice(1)) in graphs
	? decodeURIComponent(location.hash.slice(1))
	: Object.keys(graphs)[0];
addEventListener("hashchange", () => location.reload());

addEventListener("load", () => {
	const menu = d3.select("#menu");
	for (const title of Object.keys(graphs)) {
		const link = menu.append("a").text(title).attr("href", "#" + encodeURIComponent(title));
		link.style("font-weight", title === shown ? "bold" : "normal").style("margin", "0 8px");
	}

	const legend = d3.select("body").append("div");
	legend.style({ position: "fixed", bottom: 0, font: "small sans-serif" });
	for (const [kind, color] of Object.entries(colors)) {
		legend.append("span").text(kind).style({ background: color, margin: "0 8px" });
	}
	legend.append("span").text(
		"red edge: overwritten; blue edge: viewed; a double click opens or closes a scan"
	);
});

// d3viz calls drawGraph when the page is opened, and whenever a scan is opened or closed.
const drawGraphAsPlaced = drawGraph;
drawGraph = () => {
	// d3viz has the ends of edges as numbers, and would draw edges before it looks these up.
	for (const edge of graph.edges) {
		edge.source = graph.nodes[edge.source];
		edge.target = graph.nodes[edge.target];
	}
	place(undefined);
	drawGraphAsPlaced();
	fitIntoWindow();
};

// Places the nodes inside an open node, or the outermost ones, and returns the size of the layout.
function place(parent) {
	const members = graph.nodes.filter((node) => node.parent === parent);
	const layout = new dagreD3.Digraph();
	for (const node of members) {
		layout.addNode(node.id, node.isParent ? place(node) : sizeOf(node.value));
	}
	for (const { source, target } of graph.edges) {
		const from = memberAround(source, parent);
		const to = memberAround(target, parent);
		if (from && to && from !== to) layout.addEdge(null, from.id, to.id);
	}
	const placed = dagreD3.layout().nodeSep(30).rankSep(80).run(layout);
	for (const node of members) {
		const { x, y, width, height } = placed.node(node.id);
		node.x = x;
		node.y = y;
		if (node.isParent) shiftInside(node, x - width / 2, y - height / 2);
	}
	const { width, height } = placed.graph();
	return { width, height };
}

// d3viz draws an ellipse wider and higher than its text.
function sizeOf({ shape, width, height }) {
	const scale = shape === "ellipse" ? 1.2 : 1;
	return { width: scale * width, height: scale * height };
}

// The node itself, or the open node around it that is directly inside `parent`.
function memberAround(node, parent) {
	while (node && node.parent !== parent) node = node.parent;
	return node;
}

function shiftInside(parent, dx, dy) {
	for (const node of graph.nodes.filter((node) => node.parent === parent)) {
		node.x += dx;
		node.y += dy;
		if (node.isParent) shiftInside(node, dx, dy);
	}
}

function fitIntoWindow() {
	const box = pane.node().getBBox();
	const [width, height] = [innerWidth, innerHeight - 40];
	const scale = Math.min(1, 0.95 * Math.min(width / box.width, height / box.height));
	const left = (width - scale * box.width) / 2 - scale * box.x;
	const top = (height - scale * box.height) / 2 - scale * box.y;
	// d3viz moves everything by (300, 100).
	zoom.scaleExtent([scale / 2, 8]).scale(scale).translate([left - 300, top - 100]);
	zoom.event(svg);
}
