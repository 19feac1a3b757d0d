// The graph: hosts on a ring. A small mesh shows all pairs. A large mesh has thousands, so it shows the failing pairs and
// all pairs of the host that is selected or under the pointer.

const radius = small ? 90 + hosts.length * 20 : Math.max(220, hosts.length * 3.2);
const MAX_BOX_NAME = 20;
const boxNames = hosts.map((host) => shorten(host.name, MAX_BOX_NAME));
const BOX = [Math.max(132, 42 + boldWidth(boxNames, 13)), 50];
const margin = small ? [BOX[0] / 2 + 8, BOX[1] / 2 + 8] : [left + 34, left + 34];
const tree = d3.hierarchy({
  children: grouped.map(({ name, members }) => ({ name, children: members.map((host) => ({ host })) })),
});
const apart = small || grouped.length < 2 ? () => 1 : (a, b) => (a.parent === b.parent ? 1 : 2);
d3
  .cluster()
  .size([2 * Math.PI, radius])
  .separation(apart)(tree);
const leaves = tree.leaves();
const leafOf = new Map(leaves.map((leaf) => [leaf.data.host, leaf]));
if (small)
  leaves.forEach((leaf, at) => (leaf.x = ((at - (hosts.length === 2 ? 0.5 : 0)) / hosts.length) * 2 * Math.PI));
// Angle 0 points up.
const at = ({ x, y }) => [y * Math.sin(x), -y * Math.cos(x)];
const corners = small
  ? leaves.map(at)
  : [
      [-radius, -radius],
      [radius, radius],
    ];
const low = [0, 1].map((axis) => Math.min(...corners.map((corner) => corner[axis])) - margin[axis]);
const size = [0, 1].map((axis) => Math.max(...corners.map((corner) => corner[axis])) + margin[axis] - low[axis]);

const graph = d3
  .select("#graph")
  .append("svg")
  .attr("viewBox", [...low, ...size].join(" "))
  .attr("role", "group")
  .attr("aria-label", "Hosts on a ring. Arrow keys move between hosts, Enter selects one.")
  .style("max-width", `${size[0] * (small ? 1.3 : 1.05)}px`);
const edgeLayer = graph.append("g").attr("class", "edges");
const arcs = graph.append("g").attr("class", "groups").attr("aria-hidden", "true");
const middle = graph.append("text").attr("class", "middle");
const nodes = graph
  .append("g")
  .selectAll("g")
  .data(leaves)
  .join("g")
  .attr("class", "node")
  .attr("role", "button")
  .attr("tabindex", (_, number) => (number ? -1 : 0))
  .attr("transform", (leaf) => `translate(${at(leaf)})`)
  .on("click", (_, leaf) => choose({ host: leaf.data.host }))
  .on("pointerenter", (_, leaf) => drawEdges(leaf.data.host))
  .on("pointerleave", () => drawEdges())
  .on("keydown", handleNodeKey);
nodes.call(small ? boxes : dots);
if (!small && grouped.length > 1) ring();

function boxes(all) {
  const [width, height] = BOX;
  all
    .append("rect")
    .attr("x", -width / 2)
    .attr("y", -height / 2)
    .attr("width", width)
    .attr("height", height)
    .attr("rx", 8);
  all
    .append("text")
    .attr("class", "mark")
    .attr("x", -width / 2 + 16)
    .attr("y", 5);
  all
    .append("text")
    .attr("class", "name")
    .attr("x", -width / 2 + 30)
    .attr("y", (leaf) => (hosts[leaf.data.host].prefixes.length ? -4 : 5))
    .text((leaf) => shorten(hosts[leaf.data.host].name, MAX_BOX_NAME));
  all
    .append("text")
    .attr("class", "prefix")
    .attr("x", -width / 2 + 30)
    .attr("y", 14)
    .text((leaf) => hosts[leaf.data.host].prefixes[0] ?? "");
}

function dots(all) {
  all.append("path");
  const outside = ({ x }) => {
    const turn = (x * 180) / Math.PI - 90;
    return x < Math.PI ? `rotate(${turn}) translate(10,0)` : `rotate(${turn + 180}) translate(-10,0)`;
  };
  all
    .append("text")
    .attr("transform", outside)
    .attr("text-anchor", ({ x }) => (x < Math.PI ? "start" : "end"))
    .attr("class", "name")
    .attr("dy", "0.32em")
    .text((leaf) => nameOf(leaf.data.host));
}

// Draws an arc around each group, with the group's name if there is room.
function ring() {
  const gap = Math.PI / (hosts.length + grouped.length);
  const outer = radius + left + 12;
  const arc = d3
    .arc()
    .innerRadius(outer)
    .outerRadius(outer + 2)
    .startAngle(start)
    .endAngle(end);
  arcs.selectAll("path").data(tree.children).join("path").attr("d", arc);
  arcs
    .selectAll("text")
    .data(tree.children)
    .join("text")
    .attr("transform", (group) => {
      const turn = (start(group) + end(group)) / 2;
      const under = turn > Math.PI / 2 && turn < (3 * Math.PI) / 2;
      const degrees = (turn * 180) / Math.PI + (under ? 180 : 0);
      return `rotate(${degrees}) translate(0,${under ? outer + 15 : -outer - 6})`;
    })
    .text((group) => shorten(group.data.name, Math.floor(((end(group) - start(group)) * outer) / 7)));
  function start(group) {
    return group.leaves()[0].x - gap;
  }
  function end(group) {
    return group.leaves().at(-1).x + gap;
  }
}

const bundle = d3
  .lineRadial()
  .curve(d3.curveBundle.beta(0.75))
  .angle(({ x }) => x)
  .radius(({ y }) => y);
const curve = ({ a, b }) => bundle(leafOf.get(a).path(leafOf.get(b)));
const straight = ({ a, b }) => `M${at(leafOf.get(a))}L${at(leafOf.get(b))}`;

function edge(a, b) {
  const probes = [...probesBetween(a, b), ...probesBetween(b, a)];
  return { a, b, probes, state: stateOf(probes) };
}

// Returns the edges of the host under the pointer, else of the selection, else the failing edges.
function shownEdges(pointed) {
  const about = pointed ?? chosen.host;
  const wanted = ({ a, b, state, near }) => {
    if (!state || near) return Boolean(state);
    if (chosen.cause !== undefined) return hasChosenCause({ source: a, target: b }, { source: b, target: a });
    return small || (about === undefined && chosen.source === undefined && state !== "reached");
  };
  const shown = [];
  for (let a = 0; a < hosts.length; a += 1) {
    for (let b = a + 1; b < hosts.length; b += 1) {
      const one = { ...edge(a, b), near: about === a || about === b || isChosen(a, b) };
      if (wanted(one)) shown.push(one);
    }
  }
  return shown;
}

function isChosen(a, b) {
  return (chosen.source === a && chosen.target === b) || (chosen.source === b && chosen.target === a);
}

function drawEdges(pointed) {
  const shown = shownEdges(pointed);
  edgeLayer
    .selectAll("path")
    .data(shown, ({ a, b }) => `${a}-${b}`)
    .join("path")
    .attr("class", ({ state, near }) => `${state} ${near ? "near" : ""}`)
    .attr("d", small ? straight : curve)
    .on("click", (_, { a, b }) => choose({ source: a, target: b }));
  edgeLayer
    .selectAll("text")
    .data(small ? shown : [], ({ a, b }) => `${a}-${b}`)
    .join("text")
    .attr("class", ({ state }) => state)
    .attr("transform", ({ a, b }) => `translate(${labelPoint(at(leafOf.get(a)), at(leafOf.get(b)))})`)
    .attr("dy", "0.32em")
    .text(({ state, probes }) => (state === "reached" ? (hosts.length < 6 ? formatMs(slowest(probes)) : "") : MARKS[state]));
  middle.text(!small && !shown.length ? "no pair fails" : "");
}

// Labels are off centre because all diagonals cross there.
function labelPoint([x1, y1], [x2, y2]) {
  const part = hosts.length < 4 ? 0.5 : 0.38;
  return [x1 + (x2 - x1) * part, y1 + (y2 - y1) * part];
}

function showProbesInGraph() {
  const states = new Map(leaves.map((leaf) => [leaf, hostState(leaf.data.host)]));
  const shapes = { reached: d3.symbolCircle, part: d3.symbolTriangle, failed: d3.symbolTimes };
  nodes
    .attr("class", (leaf) => `node ${states.get(leaf)}`)
    .attr("aria-label", (leaf) => `${hosts[leaf.data.host].name}: ${nodeLabel(leaf.data.host)}`);
  if (small) nodes.select(".mark").text((leaf) => MARKS[states.get(leaf)]);
  else nodes.select("path").attr("d", (leaf) => d3.symbol(shapes[states.get(leaf)], 50)());
}

function showSelectionInGraph() {
  nodes.classed("chosen", ({ data: { host } }) => [chosen.host, chosen.source, chosen.target].includes(host));
  drawEdges();
}

function nodeLabel(host) {
  const { leaving, arriving } = probesAt(host);
  const error = hosts[host].error === null ? "" : `no answer: ${hosts[host].error}; `;
  const note = failureNote(host);
  const shares = `probes reached: ${reachedShare(leaving)} from this host, ${reachedShare(arriving)} to it`;
  return `${error}${shares}${note ? `; ${note}` : ""}`;
}

function handleNodeKey(event, leaf) {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  if (event.key === "Enter" || event.key === " ") choose({ host: leaf.data.host });
  else if (event.key in steps) {
    const all = nodes.nodes();
    all[(all.indexOf(event.currentTarget) + steps[event.key] + all.length) % all.length].focus();
  } else return;
  event.preventDefault();
}

function graphKey() {
  const shapes = small ? MARKS : { failed: "✗", part: "▲", reached: "●" };
  const entries = [
    ["reached", `${shapes.reached} healthy`],
    ["part", `${shapes.part} some probes fail`],
    ["failed", `${shapes.failed} cut off`],
  ];
  d3.select("#graph-key")
    .selectAll("span")
    .data(entries)
    .join("span")
    .attr("class", ([state]) => state)
    .text(([, text]) => text);
}
