// The page's data, its filter, and the states that the pictures and tables show.

const data = JSON.parse(document.getElementById("data").textContent);
const { hosts, causes } = data;
// A small mesh has room for text in every cell and node.
const small = !document.body.classList.contains("many");

const KINDS = {
  "host-bridge": "host → bridge",
  "host-container": "host → container",
  "container-container": "container → container",
};
const MARKS = { reached: "✓", part: "◐", failed: "✗", unmade: "?" };
const WORDS = { reached: "reached", part: "reached in part", failed: "not reached", unmade: "not probed" };
// Possible limits of the heat map's steps, in ms.
const LADDER = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const STEPS = 5;
// The slowest 5 % do not widen the scale, so one outlier cannot make all other cells look alike.
const SCALE_SHARE = 0.95;

const rows = new Map();
for (let at = 0; at < data.probes.length; at += 4) {
  const [source, target, form, us] = data.probes.slice(at, at + 4);
  const key = source * hosts.length + target;
  if (!rows.has(key)) rows.set(key, []);
  rows.get(key).push({ ...data.forms[form], source, target, ms: us < 0 ? null : us / 1000 });
}
const kinds = Object.keys(KINDS).filter((kind) => data.forms.some((form) => form.kind === kind));
// Marks in a cell follow the order of the legend.
rows.forEach((probes) => probes.sort((a, b) => a.family - b.family || kinds.indexOf(a.kind) - kinds.indexOf(b.kind)));
const families = [...new Set(data.forms.map((form) => form.family))].sort();

// An empty value selects every kind or family.
const filter = { kind: "", family: "" };

function probesBetween(source, target) {
  const probes = rows.get(source * hosts.length + target) ?? [];
  if (!filter.kind && !filter.family) return probes;
  return probes.filter(
    ({ kind, family }) =>
      (!filter.kind || kind === filter.kind) && (!filter.family || String(family) === filter.family),
  );
}

function probeLabel({ kind, family }) {
  return `${KINDS[kind] ?? kind}${family === 6 ? " (IPv6)" : ""}`;
}

function stateOf(probes) {
  const bad = probes.filter((probe) => probe.state !== "reached");
  if (!probes.length) return null;
  if (!bad.length) return "reached";
  if (bad.length < probes.length) return "part";
  return bad.every((probe) => probe.state === "unmade") ? "unmade" : "failed";
}

// A reply from an unexpected address has no meaningful round trip, so only reached probes count.
function slowest(probes) {
  const times = probes.filter((probe) => probe.state === "reached" && probe.ms !== null).map((probe) => probe.ms);
  return times.length ? Math.max(...times) : null;
}

function formatMs(ms) {
  return ms === null ? "" : `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

function probesAt(host) {
  const leaving = hosts.flatMap((_, other) => probesBetween(host, other));
  const arriving = hosts.flatMap((_, other) => probesBetween(other, host));
  return { leaving, arriving };
}

function failures(probes) {
  return probes.filter((probe) => probe.state !== "reached").length;
}

function reachedShare(probes) {
  return probes.length ? `${probes.length - failures(probes)}/${probes.length}` : "–";
}

// States of hosts by number: "failed", "part" or "reached". One broken host makes a probe of every peer fail, so each
// failure counts against the host that most failures share. A host that fails only with broken hosts is "reached".
let hostStates = [];

function updateHostStates() {
  const both = (a, b) => (a === b ? [] : [...probesBetween(a, b), ...probesBetween(b, a)]);
  const pairs = hosts.map((_, a) => hosts.map((__, b) => both(a, b)));
  const failed = pairs.map((line) => line.map(failures));
  const suspects = new Set(hosts.flatMap((host, number) => (host.error === null ? [] : [number])));
  hostStates = hosts.map((host) => (host.error === null ? "reached" : "failed"));
  for (;;) {
    const others = hosts.map((_, number) => number).filter((number) => !suspects.has(number));
    const shares = others.map((host) => {
      const probed = others.filter((other) => pairs[host][other].length);
      return probed.length ? probed.filter((other) => failed[host][other]).length / probed.length : 0;
    });
    const most = Math.max(0, ...shares);
    if (most < 0.5) break;
    // Hosts with equal shares are equally suspect.
    others.forEach((host, at) => {
      if (shares[at] < most) return;
      suspects.add(host);
      hostStates[host] = isCutOff(host, others) ? "failed" : "part";
    });
  }
  const rest = hosts.map((_, number) => number).filter((number) => !suspects.has(number));
  rest.forEach((host) => {
    if (rest.some((other) => failed[host][other]) || failures(probesBetween(host, host))) hostStates[host] = "part";
  });

  function isCutOff(host, others) {
    const sum = (count) => others.reduce((total, other) => total + count(other), 0);
    return sum((other) => failed[host][other]) >= 0.9 * sum((other) => pairs[host][other].length);
  }
}

function hostState(host) {
  return hostStates[host];
}

// The peers with a failing probe to or from a host.
function failingPeers(host) {
  return order.filter(
    (peer) => peer !== host && failures(probesBetween(host, peer)) + failures(probesBetween(peer, host)),
  );
}

// Limits of the steps, in ms. They span the ladder from the fastest to nearly the slowest pair.
function steps() {
  const times = [...rows.values()].map(slowest).filter((ms) => ms !== null);
  times.sort((a, b) => a - b);
  const rung = (share) => {
    const ms = times[Math.floor(share * (times.length - 1))] ?? 0;
    const at = LADDER.findIndex((limit) => limit >= ms);
    return at < 0 ? LADDER.length - 1 : at;
  };
  const high = Math.max(rung(SCALE_SHARE), STEPS - 1);
  const low = Math.min(rung(1 - SCALE_SHARE), high - STEPS + 1);
  return Array.from({ length: STEPS }, (_, at) => LADDER[Math.round(low + ((high - low) * at) / (STEPS - 1))]);
}

// Groups hosts by their first tag or, if no host has tags, by the letters that their names start with.
function groups() {
  const tagged = hosts.some((host) => host.tags.length);
  const groupOf = (host) => (tagged ? (host.tags[0] ?? "") : host.name.match(/^[a-z]*/)[0]);
  const byName = new Map();
  hosts.forEach((host, number) => {
    const name = groupOf(host);
    if (!byName.has(name)) byName.set(name, []);
    byName.get(name).push(number);
  });
  // Groups of one host each carry no information.
  if (byName.size === hosts.length) return [{ name: "", members: hosts.map((_, number) => number) }];
  return [...byName].map(([name, members]) => ({ name, members }));
}

const grouped = groups();
const order = grouped.flatMap((group) => group.members);

// Bold text is wider, and a selected name is bold.
function boldWidth(texts, size) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `bold ${size}px ${getComputedStyle(document.body).fontFamily}`;
  return Math.max(0, ...texts.map((text) => context.measureText(text).width));
}

function shorten(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(0, most - 1))}…`;
}
