// The selection: {}, {host}, {source, target} or {cause}. Values are numbers.

let chosen = {};

function choose(next) {
  chosen = next;
  showSelection();
  if (selectionFragment() !== location.hash.slice(1)) history.replaceState(null, "", `#${selectionFragment()}`);
}

// These parts depend on the filter but not on the selection.
function showProbes() {
  updateHostStates();
  showProbesInGraph();
  showProbesInHeat();
  drawTables();
}

function showSelection() {
  showSelectionInGraph();
  showSelectionInHeat();
  drawDetails();
  d3.selectAll("[data-cause]").attr("aria-pressed", function pressed() {
    return String(Number(this.dataset.cause) === chosen.cause);
  });
}

function hasChosenCause(...pairs) {
  return pairs.some(({ source, target }) => probesBetween(source, target).some((row) => row.cause === chosen.cause));
}

// A link selects a host or a pair by the fragment of its address.
function selectionFragment() {
  if (chosen.host !== undefined) return hosts[chosen.host].name;
  return chosen.source === undefined ? "" : `${hosts[chosen.source].name}/${hosts[chosen.target].name}`;
}

function parseFragment(text) {
  const [one, other] = text.split("/").map((name) => hosts.findIndex((host) => host.name === name));
  if (!(one >= 0)) return {};
  return other >= 0 ? { source: one, target: other } : { host: one };
}

d3.selectAll("[data-cause]").on("click", function press() {
  const cause = Number(this.dataset.cause);
  choose(chosen.cause === cause ? {} : { cause });
});

d3.select("#names")
  .selectAll("option")
  .data(hosts)
  .join("option")
  .attr("value", (host) => host.name);
d3.select("#find").on("input", (event) => {
  const next = parseFragment(event.target.value);
  if (next.host !== undefined) choose(next);
});

setUpFilter("kind", kinds, (kind) => KINDS[kind] ?? kind);
setUpFilter("family", families, (family) => `IPv${family}`);

function setUpFilter(name, values, label) {
  const select = d3.select(`#${name}`);
  select.selectAll("option.one").data(values).join("option").attr("value", String).text(label);
  select.on("change", (event) => {
    filter[name] = event.target.value;
    showProbes();
    showSelection();
  });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = d3.select("#theme");
let isDark = null;

function applyTheme() {
  const now = isDark ?? dark.matches;
  document.documentElement.style.colorScheme = isDark === null ? "" : now ? "dark" : "light";
  theme
    .attr("data-to", now ? "light" : "dark")
    .text(now ? "Light" : "Dark")
    .attr("aria-label", now ? "Light colours" : "Dark colours");
}

theme.on("click", () => {
  isDark = !(isDark ?? dark.matches);
  applyTheme();
});
dark.addEventListener("change", applyTheme);
addEventListener("keydown", (event) => event.key === "Escape" && choose({}));
addEventListener("hashchange", () => choose(parseFragment(location.hash.slice(1))));

applyTheme();
showProbes();
heatKey();
graphKey();
choose(parseFragment(location.hash.slice(1)));
