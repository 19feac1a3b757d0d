// What the page shows, out of the data it came with.

const data = JSON.parse(document.getElementById("data").textContent);
const { hosts, causes } = data;
// A mesh this small has room for words in every cell and on every node.
const small = !document.body.classList.contains("many");

const KINDS = {
  "host-bridge": "host → bridge",
  "host-container": "host → container",
  "container-container": "container → container",
};
const MARKS = { reached: "✓", part: "◐", failed: "✗", unmade: "?" };
const WORDS = { reached: "reached", part: "reached in part", failed: "not reached", unmade: "not probed" };
// Round trips are shown in steps of this ladder, in ms.
const LADDER = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const STEPS = 5;

const rows = new Map();
for (let at = 0; at < data.probes.length; at += 4) {
  const [source, target, form, us] = data.probes.slice(at, at + 4);
  const key = source * hosts.length + target;
  if (!rows.has(key)) rows.set(key, []);
  rows.get(key).push({ ...data.forms[form], source, target, ms: us < 0 ? null : us / 1000 });
}
const kinds = [...new Set(data.forms.map((form) => form.kind))];
const families = [...new Set(data.forms.map((form) => form.family))].sort();

// The probes that the page shows: those of the chosen kind and family, or all.
const filter = { kind: "", family: "" };

function probesBetween(source, target) {
  const found = rows.get(source * hosts.length + target) ?? [];
  if (!filter.kind && !filter.family) return found;
  return found.filter(
    ({ kind, family }) =>
      (!filter.kind || kind === filter.kind) && (!filter.family || String(family) === filter.family),
  );
}

function probeLabel({ kind, family }) {
  return `${KINDS[kind] ?? kind}${family === 6 ? " (IPv6)" : ""}`;
}

function stateOf(found) {
  const bad = found.filter((row) => row.state !== "reached");
  if (!found.length) return null;
  if (!bad.length) return "reached";
  if (bad.length < found.length) return "part";
  return bad.every((row) => row.state === "unmade") ? "unmade" : "failed";
}

// A reply from another address has no meaningful round trip, so only reached probes count.
function slowest(found) {
  const times = found.filter((row) => row.state === "reached" && row.ms !== null).map((row) => row.ms);
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

function failures(found) {
  return found.filter((row) => row.state !== "reached").length;
}

function reachedShare(found) {
  return found.length ? `${found.length - failures(found)}/${found.length}` : "–";
}

// A host has failed if it is unreachable for the controller, or if nearly all probes between it and the others fail.
function hostState(host) {
  const { leaving, arriving } = probesAt(host);
  return hosts[host].error === null ? summaryState([...leaving, ...arriving]) : "failed";
}

function summaryState(found) {
  const others = found.filter((row) => row.source !== row.target);
  const failing = failures(others);
  if (failing && failing >= 0.9 * others.length) return "failed";
  return failing ? "part" : "reached";
}

// The steps that end just above the slowest round trip.
function steps() {
  const most = [...rows.values()].reduce((ms, found) => Math.max(ms, slowest(found) ?? 0), 0);
  const last = LADDER.findIndex((step) => step >= most);
  const end = last < 0 ? LADDER.length : Math.max(last + 1, STEPS);
  return LADDER.slice(end - STEPS, end);
}

// Groups hosts by their first tag or, if no host has tags, by the letters that their names start with.
function groups() {
  const tagged = hosts.some((host) => host.tags.length);
  const groupOf = (host) => (tagged ? (host.tags[0] ?? "") : host.name.match(/^[a-z]*/)[0]);
  const found = new Map();
  hosts.forEach((host, number) => {
    const name = groupOf(host);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(number);
  });
  // Groups of one host each are no groups.
  if (found.size === hosts.length) return [{ name: "", members: hosts.map((_, number) => number) }];
  return [...found].map(([name, members]) => ({ name, members }));
}

const grouped = groups();
const order = grouped.flatMap((group) => group.members);
