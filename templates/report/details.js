// The details of the selected host, pair or cause.

const details = d3.select("#details");
const MAX_LISTED = 300;

// Tests read `data-view` and `data-of`, which do not depend on the wording.
function drawDetails() {
  const view = chosen.cause !== undefined ? "cause" : chosen.source !== undefined ? "pair" : "host";
  details
    .classed("open", Object.keys(chosen).length)
    .attr("data-view", Object.keys(chosen).length ? view : "hosts")
    .attr("data-of", chosen.cause ?? selectionFragment())
    .selectAll("*")
    .remove();
  offered.clear();
  if (chosen.host !== undefined) drawHost(chosen.host);
  else if (chosen.source !== undefined) drawPair(chosen.source, chosen.target);
  else if (chosen.cause !== undefined) drawCause(chosen.cause);
  else drawOverview();
}

function drawTitle(...parts) {
  const title = details.append("h2");
  parts.forEach((part) => {
    if (typeof part === "string") title.append("span").text(part);
    else link(title, hosts[part].name, { host: part });
  });
  if (Object.keys(chosen).length)
    details
      .append("button")
      .attr("type", "button")
      .attr("class", "close")
      .attr("aria-label", "Close")
      .text("✕")
      .on("click", () => choose({}));
}

function link(parent, text, next) {
  return parent
    .append("button")
    .attr("type", "button")
    .attr("class", "link")
    .text(text)
    .on("click", () => choose(next));
}

function drawFacts(pairs) {
  const list = details.append("dl");
  pairs
    .filter(([, , value]) => value !== null && value !== "")
    .forEach(([fact, name, value, bad]) => {
      list.append("dt").text(name);
      const text = list.append("dd").attr("data-fact", fact).classed("bad", Boolean(bad));
      writeReason(text, value);
      commandsIn(value)
        .filter((command) => !offered.has(command))
        .forEach((command) => {
          offered.add(command);
          list.append("dt");
          addCopyButton(list.append("dd").attr("data-fact", "command"), command);
        });
    });
}

function drawTable(parent, heads, lines, fill) {
  const table = parent.append("table");
  table
    .append("thead")
    .append("tr")
    .selectAll("th")
    .data(heads)
    .join("th")
    .attr("scope", "col")
    .text((text) => text);
  table
    .append("tbody")
    .selectAll("tr")
    .data(lines)
    .join("tr")
    .each(function row(line) {
      fill(d3.select(this), line);
    });
}

function markText(probes) {
  return probes.map((probe) => MARKS[probe.state]).join(" ") || "–";
}

// Explains the failures of a healthy host.
function failureNote(host) {
  const peers = hostState(host) === "reached" ? failingPeers(host) : [];
  if (!peers.length) return "";
  const names = peers.slice(0, 3).map((peer) => hosts[peer].name);
  const more = peers.length > 3 ? ` and ${peers.length - 3} more` : "";
  return `fails only with ${names.join(", ")}${more}`;
}

function addHostCell(row, host) {
  const state = hostState(host);
  const name = row.append("td").attr("class", state === "reached" ? null : state);
  if (state !== "reached")
    name
      .append("span")
      .attr("role", "img")
      .attr("aria-label", state === "failed" ? "cut off" : "some probes fail")
      .text(`${MARKS[state]} `);
  link(name, hosts[host].name, { host });
}

function drawOverview() {
  drawTitle("Hosts");
  details.append("p").attr("class", "dim").text("Select a host, a pair or a cause.");
  const lines = order.map((host) => ({ host, ...probesAt(host) }));
  const severity = { failed: 0, part: 1, reached: 2 };
  lines.sort(
    (a, b) =>
      severity[hostState(a.host)] - severity[hostState(b.host)] ||
      failures(b.leaving) + failures(b.arriving) - failures(a.leaving) - failures(a.arriving),
  );
  drawTable(details, ["host", "from it", "to it", "slowest"], lines, (row, { host, leaving, arriving }) => {
    addHostCell(row, host);
    for (const probes of [leaving, arriving])
      row
        .append("td")
        .attr("class", failures(probes) && hostState(host) !== "reached" ? hostState(host) : null)
        .text(reachedShare(probes));
    row.append("td").text(formatMs(slowest(leaving)));
  });
}

function drawHost(host) {
  const { name, error, underlays, prefixes, docker, tags } = hosts[host];
  drawTitle(name);
  const { leaving, arriving } = probesAt(host);
  const bad = hostState(host) !== "reached";
  drawFacts([
    ["error", "no answer", error, true],
    ["underlay", "underlay", underlays.join(", ")],
    ["prefix", "prefix", prefixes.join(", ")],
    ["docker", "Docker", docker === false ? "none" : null],
    ["tags", "tags", tags.join(", ")],
    ["from", "probes from it", reachedShare(leaving), bad && failures(leaving)],
    ["to", "probes to it", reachedShare(arriving), bad && failures(arriving)],
    ["note", "failures", failureNote(host)],
  ]);
  const lines = order.map((peer) => ({ peer, to: probesBetween(host, peer), back: probesBetween(peer, host) }));
  const probed = lines.filter(({ to, back }) => to.length + back.length);
  probed.sort((a, b) => failures(b.to) + failures(b.back) - failures(a.to) - failures(a.back));
  drawTable(details, ["peer", "to peer", "from peer", "slowest"], probed, (row, { peer, to, back }) => {
    link(row.append("td"), hosts[peer].name, { source: host, target: peer });
    for (const probes of [to, back])
      row
        .append("td")
        .attr("class", failures(probes) ? stateOf(probes) : null)
        .text(markText(probes));
    row.append("td").text(formatMs(slowest([...to, ...back])));
  });
}

function drawPair(source, target) {
  drawTitle(source, " → ", target);
  drawProbes(source, target);
  if (source !== target) {
    details.append("h3").text(`${hosts[target].name} → ${hosts[source].name}`);
    drawProbes(target, source);
  }
}

function drawProbes(source, target) {
  const probes = probesBetween(source, target);
  if (!probes.length) details.append("p").attr("class", "dim").text("Nothing to probe.");
  probes.forEach((row) => {
    details
      .append("h4")
      .attr("class", row.state)
      .attr("data-pair", `${hosts[source].name}/${hosts[target].name}`)
      .attr("data-kind", row.kind)
      .attr("data-family", row.family)
      .text(`${MARKS[row.state]} ${probeLabel(row)}`);
    drawFacts([
      ["reason", "", row.reason, true],
      ["replies", "replies", row.sent ? `${row.received} of ${row.sent}` : null],
      [
        "ttl",
        "TTL",
        row.ttl === null ? null : `${row.ttl}${row.ttl === row.expected ? "" : `, expected ${row.expected}`}`,
      ],
      ["rtt", "round trip", formatMs(row.ms)],
      ["mtu", "large packets", row.mtu === null ? null : row.mtu ? "pass" : "do not pass", row.mtu === false],
      ["seen", "seen as", row.seen],
    ]);
  });
}

function drawCause(number) {
  const { host, reason } = causes[number];
  drawTitle("Cause");
  writeReason(details.append("p").attr("class", "bad"), host ? `${host} ${reason}` : reason);
  commandsIn(reason).forEach((command) => addCopyButton(details.append("p"), command));
  const pairs = [...rows.values()].filter((probes) => probes.some((probe) => probe.cause === number));
  drawTable(details, ["from", "to", "probes"], pairs.slice(0, MAX_LISTED), (row, probes) => {
    const [{ source, target }] = probes;
    link(row.append("td"), hosts[source].name, { source, target });
    row.append("td").text(hosts[target].name);
    row.append("td").text(probes.filter((probe) => probe.cause === number).length);
  });
  if (pairs.length > MAX_LISTED)
    details
      .append("p")
      .attr("class", "dim")
      .text(`and ${pairs.length - MAX_LISTED} more pairs`);
}
