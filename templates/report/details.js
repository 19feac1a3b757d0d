// What is known of the host, the pair or the cause that is chosen.

const details = d3.select("#details");
const LISTED = 300;

// Tests read the selection from `data-view` and `data-of`, which do not depend on the wording.
function drawDetails() {
  const view = chosen.cause !== undefined ? "cause" : chosen.source !== undefined ? "pair" : "host";
  details
    .classed("open", Object.keys(chosen).length)
    .attr("data-view", Object.keys(chosen).length ? view : "hosts")
    .attr("data-of", chosen.cause ?? fragment())
    .selectAll("*")
    .remove();
  if (chosen.host !== undefined) ofHost(chosen.host);
  else if (chosen.source !== undefined) ofPair(chosen.source, chosen.target);
  else if (chosen.cause !== undefined) ofCause(chosen.cause);
  else ofAll();
}

function head(...parts) {
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

function facts(pairs) {
  const list = details.append("dl");
  pairs
    .filter(([, , value]) => value !== null && value !== "")
    .forEach(([fact, name, value, bad]) => {
      list.append("dt").text(name);
      list.append("dd").attr("data-fact", fact).classed("bad", Boolean(bad)).text(value);
    });
}

function table(heads, lines, fill) {
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

function marks(found) {
  return found.map((row) => MARKS[row.state]).join(" ") || "–";
}

function ofAll() {
  head("Hosts");
  details.append("p").attr("class", "dim").text("Choose a host, a pair or a cause.");
  const lines = order.map((host) => ({ host, ...touching(host) }));
  lines.sort((a, b) => bad(b.leaving) + bad(b.arriving) - bad(a.leaving) - bad(a.arriving));
  table(["host", "from it", "to it", "slowest"], lines, (row, { host, leaving, arriving }) => {
    link(row.append("td"), hosts[host].name, { host });
    for (const found of [leaving, arriving])
      row
        .append("td")
        .attr("class", bad(found) ? mostly(found) : null)
        .text(share(found));
    row.append("td").text(told(slowest(leaving)));
  });
}

function ofHost(host) {
  const { name, error, underlays, prefixes, docker, tags } = hosts[host];
  head(name);
  const { leaving, arriving } = touching(host);
  facts([
    ["error", "could not be asked", error, true],
    ["underlay", "underlay", underlays.join(", ")],
    ["prefix", "prefix", prefixes.join(", ")],
    ["docker", "Docker", docker === false ? "none" : null],
    ["tags", "tags", tags.join(", ")],
    ["from", "reached from it", share(leaving), bad(leaving)],
    ["to", "reach it", share(arriving), bad(arriving)],
  ]);
  const lines = order.map((peer) => ({ peer, to: between(host, peer), back: between(peer, host) }));
  const asked = lines.filter(({ to, back }) => to.length + back.length);
  asked.sort((a, b) => bad(b.to) + bad(b.back) - bad(a.to) - bad(a.back));
  table(["peer", "from it", "to it", "slowest"], asked, (row, { peer, to, back }) => {
    link(row.append("td"), hosts[peer].name, { source: host, target: peer });
    for (const found of [to, back])
      row
        .append("td")
        .attr("class", bad(found) ? stateOf(found) : null)
        .text(marks(found));
    row.append("td").text(told(slowest([...to, ...back])));
  });
}

function ofPair(source, target) {
  head(source, " → ", target);
  probesOf(source, target);
  if (source !== target) {
    details.append("h3").text(`${hosts[target].name} → ${hosts[source].name}`);
    probesOf(target, source);
  }
}

function probesOf(source, target) {
  const found = between(source, target);
  if (!found.length) details.append("p").attr("class", "dim").text("Nothing to probe.");
  found.forEach((row) => {
    details
      .append("h4")
      .attr("class", row.state)
      .attr("data-pair", `${hosts[source].name}/${hosts[target].name}`)
      .attr("data-kind", row.kind)
      .attr("data-family", row.family)
      .text(`${MARKS[row.state]} ${named(row)}`);
    facts([
      ["reason", "", row.reason, true],
      ["replies", "replies", row.sent ? `${row.received} of ${row.sent}` : null],
      [
        "ttl",
        "TTL",
        row.ttl === null ? null : `${row.ttl}${row.ttl === row.expected ? "" : `, expected ${row.expected}`}`,
      ],
      ["rtt", "round trip", told(row.ms)],
      ["mtu", "large packets", row.mtu === null ? null : row.mtu ? "pass" : "do not pass", row.mtu === false],
      ["seen", "seen as", row.seen],
    ]);
  });
}

function ofCause(number) {
  const { host, reason } = causes[number];
  head("Cause");
  details
    .append("p")
    .attr("class", "bad")
    .text(host ? `${host} ${reason}` : reason);
  const pairs = [...rows.values()].filter((found) => found.some((row) => row.cause === number));
  table(["from", "to", "probes"], pairs.slice(0, LISTED), (row, found) => {
    const [{ source, target }] = found;
    link(row.append("td"), hosts[source].name, { source, target });
    row.append("td").text(hosts[target].name);
    row.append("td").text(found.filter((one) => one.cause === number).length);
  });
  if (pairs.length > LISTED)
    details
      .append("p")
      .attr("class", "dim")
      .text(`and ${pairs.length - LISTED} more pairs`);
}
