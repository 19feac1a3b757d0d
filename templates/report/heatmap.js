// The matrix: a row per source, a column per target. Failures have a mark as well as a colour.

const MAX_NAME = 32;
const [space, least, most] = small ? [400, 64, 100] : [960, 9, 24];
const cell = Math.max(least, Math.min(most, Math.round(space / hosts.length)));
const letter = small ? 13 : Math.min(12, cell);
const nameOf = (host) => shorten(hosts[host].name, MAX_NAME);
const nameWidth = Math.max(26, boldWidth(order.map(nameOf), letter));
// Room for a name and, outside it, the mark of a broken host.
const markSide = letter + 6;
const left = nameWidth + markSide + 10;
const upright = nameWidth < cell;
const top_ = upright ? letter * 2 + 20 : left;
const side = cell * hosts.length;
const ladder = steps();

const place = new Map(order.map((host, at) => [host, at]));
const offsetOf = (host) => place.get(host) * cell;

const heat = d3
  .select("#heat")
  .append("svg")
  .attr("viewBox", [0, 0, left + side + 2, top_ + side + 2].join(" "))
  .attr("role", "grid")
  .attr("tabindex", 0)
  .attr(
    "aria-label",
    "Matrix of round trips. One row per source, one column per target. Arrow keys move between pairs.",
  )
  .style("max-width", `${(left + side) * 1.3}px`)
  .style("min-width", `${left + side * Math.min(1, 9 / cell)}px`);
const board = heat.append("g").attr("transform", `translate(${left},${top_})`);

const rowNames = drawNames("row", (name) => name.attr("x", -6).attr("y", (host) => offsetOf(host) + cell / 2));
const columnNames = drawNames("column", (name) => {
  const middle = (host) => offsetOf(host) + cell / 2;
  if (upright) return name.attr("x", middle).attr("y", -8);
  return name.attr("transform", (host) => `translate(${middle(host)},-5) rotate(-90)`);
});

function drawNames(axis, put) {
  return board
    .append("g")
    .attr("aria-hidden", "true")
    .attr("class", `names ${axis} ${upright ? "upright" : ""}`)
    .attr("font-size", letter)
    .selectAll("text")
    .data(order)
    .join("text")
    .text(nameOf)
    .call(put)
    .on("click", (_, host) => choose({ host }));
}

const cells = board
  .selectAll("g.line")
  .data(order)
  .join("g")
  .attr("class", "line")
  .attr("role", "row")
  .attr("transform", (source) => `translate(0,${offsetOf(source)})`)
  .selectAll("g")
  .data((source) => order.map((target) => ({ source, target })))
  .join("g")
  .attr("role", "gridcell")
  .attr("id", ({ source, target }) => `cell-${source}-${target}`)
  .attr("transform", ({ target }) => `translate(${offsetOf(target)},0)`)
  .on("click", (_, pair) => probesBetween(pair.source, pair.target).length && choose(pair))
  .on("pointerenter", (_, pair) => point(pair))
  .on("pointerleave", () => point(null));
cells
  .append("rect")
  .attr("width", cell - 1)
  .attr("height", cell - 1)
  .attr("rx", small ? 6 : 1);

const hostMarks = board
  .append("g")
  .attr("class", "host-marks")
  .attr("aria-hidden", "true")
  .attr("font-size", letter);
board
  .append("g")
  .attr("class", "rules")
  .selectAll("path")
  .data(grouped.slice(1).map((group) => offsetOf(group.members[0]) - 0.5))
  .join("path")
  .attr("d", (at) => `M${at},0V${side}M0,${at}H${side}`);
const frames = board.append("g").attr("class", "frames");

function isOutlier(probes) {
  return slowest(probes) > ladder.at(-1);
}

function cellClass(probes) {
  const state = stateOf(probes);
  if (state !== "reached") return state ?? "empty";
  if (isOutlier(probes)) return `reached step${STEPS - 1} outlier`;
  return `reached step${ladder.findIndex((limit) => slowest(probes) <= limit)}`;
}

function cellLabel({ source, target }) {
  const probes = probesBetween(source, target);
  const state = stateOf(probes);
  const reasons = [...new Set(probes.map((probe) => probe.reason).filter(Boolean))].join("; ");
  const text = state ? `${WORDS[state]} ${formatMs(slowest(probes))}` : "nothing to probe";
  return `${hosts[source].name} to ${hosts[target].name}: ${text.trim()}${reasons ? `: ${reasons}` : ""}`;
}

function showProbesInHeat() {
  cells.attr("class", (pair) => cellClass(probesBetween(pair.source, pair.target))).attr("aria-label", cellLabel);
  if (small) cells.call(writeCells);
  else cells.call(markCells);
  for (const names of [rowNames, columnNames])
    for (const state of ["failed", "part"]) names.classed(state, (host) => hostState(host) === state);
  markHosts();
}

// A broken host's row and column cross every other host's, so its name has a mark at both ends.
function markHosts() {
  const broken = order.filter((host) => hostState(host) !== "reached");
  const middle = (host) => offsetOf(host) + cell / 2;
  const places = broken.flatMap((host) => [
    { host, x: -left + markSide / 2, y: middle(host) },
    { host, x: middle(host), y: -top_ + markSide / 2 },
  ]);
  hostMarks
    .selectAll("text")
    .data(places)
    .join("text")
    .attr("class", ({ host }) => hostState(host))
    .attr("x", ({ x }) => x)
    .attr("y", ({ y }) => y)
    .text(({ host }) => MARKS[hostState(host)]);
}

function showSelectionInHeat() {
  cells.classed("faded", chosen.cause === undefined ? false : (pair) => !hasChosenCause(pair));
  const bands = { host: [], target: [] };
  if (chosen.host !== undefined)
    bands.host.push([0, offsetOf(chosen.host), side, cell], [offsetOf(chosen.host), 0, cell, side]);
  if (chosen.source !== undefined) bands.target.push([offsetOf(chosen.target), offsetOf(chosen.source), cell, cell]);
  frames
    .selectAll("rect")
    .data([...bands.host, ...bands.target])
    .join("rect")
    .attr("x", ([x]) => x - 1)
    .attr("y", ([, y]) => y - 1)
    .attr("width", ([, , width]) => width + 1)
    .attr("height", ([, , , height]) => height + 1);
  const isEnd =
    (...ends) =>
    (host) =>
      ends.includes(host);
  rowNames.classed("chosen", isEnd(chosen.host, chosen.source));
  columnNames.classed("chosen", isEnd(chosen.host, chosen.target));
  const at = chosen.source === undefined ? null : `cell-${chosen.source}-${chosen.target}`;
  heat.attr("aria-activedescendant", at);
}

function writeCells(all) {
  const lines = ({ source, target }) => {
    const probes = probesBetween(source, target);
    const marks = families.map((family) =>
      probes.filter((probe) => probe.family === family).map((probe) => MARKS[probe.state]),
    );
    return probes.length ? [...marks.map((line) => line.join(" ")), formatMs(slowest(probes))].filter(Boolean) : [];
  };
  all
    .selectAll("text")
    .data(lines)
    .join("text")
    .attr("x", (cell - 1) / 2)
    .attr("y", (_, at, texts) => cell / 2 + 4 + (at - (texts.length - 1) / 2) * 17)
    .attr("class", (text) => (text.endsWith("ms") ? "ms" : "marks"))
    .text((text) => text);
}

function markCells(all) {
  const low = cell * 0.22;
  const high = cell - 1 - low;
  const marks = {
    failed: `M${low},${low}L${high},${high}M${low},${high}L${high},${low}`,
    part: `M${low},${high}L${high},${low}`,
    unmade: `M${low},${cell / 2}H${high}`,
  };
  const dot = `M${cell * 0.35},${cell / 2 - 0.5}h${cell * 0.2}`;
  const markOf = (probes) => marks[stateOf(probes)] ?? (isOutlier(probes) ? dot : null);
  all
    .selectAll("path")
    .data(({ source, target }) => [markOf(probesBetween(source, target))].filter(Boolean))
    .join("path")
    .attr("d", (mark) => mark);
}

function heatKey() {
  const key = d3.select("#heat-key");
  const entries = ladder.map((limit, at) => [`reached step${at}`, at ? `${limit}` : `≤ ${limit}`]);
  entries.at(-1)[1] += " ms";
  if ([...rows.values()].some(isOutlier)) entries.push([`reached step${STEPS - 1} outlier`, `> ${ladder.at(-1)} ms`]);
  entries.push(
    ["part", `${MARKS.part} in part`],
    ["failed", `${MARKS.failed} failed`],
    ["unmade", `${MARKS.unmade} not probed`],
  );
  const entry = key.selectAll("span").data(entries).join("span");
  entry.append("i").attr("class", ([look]) => look);
  entry.append("span").text(([, text]) => text);
  if (small) d3.select("#marks-key").text(marksKey());
}

function marksKey() {
  const names = kinds.map((kind) => KINDS[kind]);
  if (!names.length) return "";
  const lines = families.length > 1 ? " One line per address family, IPv4 first." : "";
  const fewer = "A cell has fewer marks if the target has no Docker or is the source itself.";
  return `Marks in a cell, from left to right: ${names.join(", ")}.${lines} ${fewer}`;
}

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
heat.on("keydown", (event) => {
  const move = MOVES[event.key];
  if (!move || !order.length) return;
  event.preventDefault();
  const clamp = (at) => order[Math.max(0, Math.min(order.length - 1, at))];
  const from = [place.get(chosen.source ?? chosen.host), place.get(chosen.target ?? chosen.host)];
  const [source, target] = from.map((at, axis) => clamp(at === undefined ? 0 : at + move[axis]));
  choose({ source, target });
});

function point(pair) {
  rowNames.classed("pointed", (host) => pair?.source === host);
  columnNames.classed("pointed", (host) => pair?.target === host);
  d3.select("#pointed").text(pair ? cellLabel(pair) : "\u00a0");
}
