// The tables below the pictures of a small mesh: failing probes, and the facts of each host.

const tables = d3.select("#tables");

function drawTables() {
  if (!small) return;
  tables.selectAll("*").remove();
  tables.attr("hidden", null);
  const failing = order.flatMap((source) =>
    order.flatMap((target) => probesBetween(source, target).filter((probe) => probe.state !== "reached")),
  );
  if (failing.length) drawFailures(failing);
  drawHosts();
}

function drawFailures(failing) {
  tables.append("h2").text("Failing probes");
  drawTable(tables, ["from", "to", "probe", "reason"], failing.slice(0, MAX_LISTED), (row, probe) => {
    const { source, target, state, reason } = probe;
    row.attr("data-failure", `${hosts[source].name}/${hosts[target].name}`);
    link(row.append("td"), hosts[source].name, { source, target });
    row.append("td").text(hosts[target].name);
    row.append("td").attr("class", `nowrap ${state}`).text(`${MARKS[state]} ${probeLabel(probe)}`);
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
    row.append("td").text(hosts[host].error ?? (failureNote(host) || count || "none"));
  });
}
