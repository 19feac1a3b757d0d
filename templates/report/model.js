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

// Of the kind and the family that are chosen, or of all.
const filter = { kind: "", family: "" };

function between(source, target) {
  const found = rows.get(source * hosts.length + target) ?? [];
  if (!filter.kind && !filter.family) return found;
  return found.filter(
    ({ kind, family }) =>
      (!filter.kind || kind === filter.kind) && (!filter.family || String(family) === filter.family),
  );
}

function named({ kind, family }) {
  return `${KINDS[kind] ?? kind}${family === 6 ? " (IPv6)" : ""}`;
}

function stateOf(found) {
  const bad = found.filter((row) => row.state !== "reached");
  if (!found.length) return null;
  if (!bad.length) return "reached";
  if (bad.length < found.length) return "part";
  return bad.every((row) => row.state === "unmade") ? "unmade" : "failed";
}

// The round trip of a reply that came from elsewhere says nothing of a pair.
function slowest(found) {
  const times = found.filter((row) => row.state === "reached" && row.ms !== null).map((row) => row.ms);
  return times.length ? Math.max(...times) : null;
}

function told(ms) {
  return ms === null ? "" : `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

function touching(host) {
  const leaving = hosts.flatMap((_, other) => between(host, other));
  const arriving = hosts.flatMap((_, other) => between(other, host));
  return { leaving, arriving };
}

function bad(found) {
  return found.filter((row) => row.state !== "reached").length;
}

function share(found) {
  return found.length ? `${found.length - bad(found)}/${found.length}` : "–";
}

// How a host stands: failed where it could not be asked, or where nearly all between it and the others fails.
function standing(host) {
  const { leaving, arriving } = touching(host);
  return hosts[host].error === null ? mostly([...leaving, ...arriving]) : "failed";
}

function mostly(found) {
  const others = found.filter((row) => row.source !== row.target);
  const failing = bad(others);
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

// Hosts stand by their groups: a tag, where they have any, else what their names begin with.
function groups() {
  const tagged = hosts.some((host) => host.tags.length);
  const groupOf = (host) => (tagged ? (host.tags[0] ?? "") : host.name.match(/^[a-z]*/)[0]);
  const found = new Map();
  hosts.forEach((host, number) => {
    const name = groupOf(host);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(number);
  });
  // Where each has its own, none is a group.
  if (found.size === hosts.length) return [{ name: "", members: hosts.map((_, number) => number) }];
  return [...found].map(([name, members]) => ({ name, members }));
}

const grouped = groups();
const order = grouped.flatMap((group) => group.members);
