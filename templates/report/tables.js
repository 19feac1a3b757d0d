// The tables below the pictures of a small mesh: the facts of each host, and the failing probes.

const tables = d3.select("#tables");

function drawTables() {
  if (!small) return;
  tables.selectAll("*").remove();
  tables.attr("hidden", null);
  drawHosts();
  const failing = failingGroups();
  if (failing.length) drawFailures(failing);
}

// Groups the failing probes of a pair that have the same reason.
function failingGroups() {
  const groups = new Map();
  for (const source of order) {
    for (const target of order) {
      for (const probe of probesBetween(source, target).filter(({ state }) => state !== "reached")) {
        const key = JSON.stringify([source, target, probe.reason]);
        if (!groups.has(key)) groups.set(key, []);
        groups.get(key).push(probe);
      }
    }
  }
  return [...groups.values()];
}

function drawFailures(failing) {
  tables.append("h2").text("Failing probes");
  drawTable(tables, ["from", "to", "probes", "reason"], failing.slice(0, MAX_LISTED), (row, probes) => {
    const [{ source, target, reason }] = probes;
    row.attr("data-failure", `${hosts[source].name}/${hosts[target].name}`);
    link(row.append("td"), hosts[source].name, { source, target });
    row.append("td").text(hosts[target].name);
    row
      .append("td")
      .selectAll("span")
      .data(probes)
      .join("span")
      .attr("class", ({ state }) => `probe ${state}`)
      .text((probe) => `${MARKS[probe.state]} ${probeLabel(probe)}`);
    writeReason(row.append("td"), reason);
  });
  if (failing.length > MAX_LISTED)
    tables
      .append("p")
      .attr("class", "dim")
      .text(`and ${failing.length - MAX_LISTED} more`);
}

function drawHosts() {
  tables.append("h2").text("Hosts");
  drawTable(tables, ["host", "underlay", "prefix", "Docker", "tags", "failures"], order, (row, host) => {
    const { underlays, prefixes, docker, tags } = hosts[host];
    row.attr("data-host", hosts[host].name);
    addHostCell(row, host);
    row.append("td").text(underlays.join(", "));
    row.append("td").text(prefixes.join(", "));
    row.append("td").text(docker === null ? "" : docker ? "yes" : "no");
    row.append("td").text(tags.join(", "));
    const { leaving, arriving } = probesAt(host);
    const count = failures(arriving) + failures(leaving.filter((probe) => probe.target !== host));
    row.append("td").text(hosts[host].error ?? (failureNote(host) || (count ? `${count} probes` : "none")));
  });
}
