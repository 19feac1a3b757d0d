// The details of the selected host, pair or cause.

const details = d3.select("#details");
const MAX_LISTED = 300;

// Tests read the selection from `data-view` and `data-of`, which do not depend on the wording.
function drawDetails() {
  const view = chosen.cause !== undefined ? "cause" : chosen.source !== undefined ? "pair" : "host";
  details
    .classed("open", Object.keys(chosen).length)
    .attr("data-view", Object.keys(chosen).length ? view : "hosts")
    .attr("data-of", chosen.cause ?? selectionFragment())
    .selectAll("*")
    .remove();
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
      list.append("dd").attr("data-fact", fact).classed("bad", Boolean(bad)).text(value);
    });
}

function drawTable(heads, lines, fill) {
  const made = details.append("table");
  made
    .append("thead")
    .append("tr")
    .selectAll("th")
    .data(heads)
    .join("th")
    .attr("scope", "col")
    .text((text) => text);
  made
    .append("tbody")
    .selectAll("tr")
    .data(lines)
    .join("tr")
    .each(function row(line) {
      fill(d3.select(this), line);
    });
}

function markText(found) {
  return found.map((row) => MARKS[row.state]).join(" ") || "–";
}

function drawOverview() {
  drawTitle("Hosts");
  details.append("p").attr("class", "dim").text("Choose a host, a pair or a cause.");
  const lines = order.map((host) => ({ host, ...probesAt(host) }));
  lines.sort((a, b) => failures(b.leaving) + failures(b.arriving) - failures(a.leaving) - failures(a.arriving));
  drawTable(["host", "from it", "to it", "slowest"], lines, (row, { host, leaving, arriving }) => {
    link(row.append("td"), hosts[host].name, { host });
    for (const found of [leaving, arriving])
      row
        .append("td")
        .attr("class", failures(found) ? summaryState(found) : null)
        .text(reachedShare(found));
    row.append("td").text(formatMs(slowest(leaving)));
  });
}

function drawHost(host) {
  const { name, error, underlays, prefixes, docker, tags } = hosts[host];
  drawTitle(name);
  const { leaving, arriving } = probesAt(host);
  drawFacts([
    ["error", "could not be asked", error, true],
    ["underlay", "underlay", underlays.join(", ")],
    ["prefix", "prefix", prefixes.join(", ")],
    ["docker", "Docker", docker === false ? "none" : null],
    ["tags", "tags", tags.join(", ")],
    ["from", "reached from it", reachedShare(leaving), failures(leaving)],
    ["to", "reach it", reachedShare(arriving), failures(arriving)],
  ]);
  const lines = order.map((peer) => ({ peer, to: probesBetween(host, peer), back: probesBetween(peer, host) }));
  const asked = lines.filter(({ to, back }) => to.length + back.length);
  asked.sort((a, b) => failures(b.to) + failures(b.back) - failures(a.to) - failures(a.back));
  drawTable(["peer", "from it", "to it", "slowest"], asked, (row, { peer, to, back }) => {
    link(row.append("td"), hosts[peer].name, { source: host, target: peer });
    for (const found of [to, back])
      row
        .append("td")
        .attr("class", failures(found) ? stateOf(found) : null)
        .text(markText(found));
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
  const found = probesBetween(source, target);
  if (!found.length) details.append("p").attr("class", "dim").text("Nothing to probe.");
  found.forEach((row) => {
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
  details
    .append("p")
    .attr("class", "bad")
    .text(host ? `${host} ${reason}` : reason);
  const pairs = [...rows.values()].filter((found) => found.some((row) => row.cause === number));
  drawTable(["from", "to", "probes"], pairs.slice(0, MAX_LISTED), (row, found) => {
    const [{ source, target }] = found;
    link(row.append("td"), hosts[source].name, { source, target });
    row.append("td").text(hosts[target].name);
    row.append("td").text(found.filter((one) => one.cause === number).length);
  });
  if (pairs.length > MAX_LISTED)
    details
      .append("p")
      .attr("class", "dim")
      .text(`and ${pairs.length - MAX_LISTED} more pairs`);
}
