// What is chosen, and all that follows from it: {}, {host}, {source, target} or {cause}, by number.

let chosen = {};

function choose(next) {
  chosen = next;
  frame();
  if (fragment() !== location.hash.slice(1)) history.replaceState(null, "", `#${fragment()}`);
}

// What depends on the kind of probes alone, and is not drawn anew for every choice.
function paint() {
  paintGraph();
  paintHeat();
}

function frame() {
  frameGraph();
  frameHeat();
  drawDetails();
  d3.selectAll("[data-cause]").attr("aria-pressed", function pressed() {
    return String(Number(this.dataset.cause) === chosen.cause);
  });
}

function blamed(...pairs) {
  return pairs.some(({ source, target }) => between(source, target).some((row) => row.cause === chosen.cause));
}

// So that a pair can be pointed out by the page's address.
function fragment() {
  if (chosen.host !== undefined) return hosts[chosen.host].name;
  return chosen.source === undefined ? "" : `${hosts[chosen.source].name}/${hosts[chosen.target].name}`;
}

function pointedOut(text) {
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
  const next = pointedOut(event.target.value);
  if (next.host !== undefined) choose(next);
});

filtering("kind", kinds, (kind) => KINDS[kind] ?? kind);
filtering("family", families, (family) => `IPv${family}`);

function filtering(what, values, told) {
  const select = d3.select(`#${what}`);
  select.selectAll("option.one").data(values).join("option").attr("value", String).text(told);
  select.on("change", (event) => {
    filter[what] = event.target.value;
    paint();
    frame();
  });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = d3.select("#theme");
let isDark = null;

function dress() {
  const now = isDark ?? dark.matches;
  document.documentElement.style.colorScheme = isDark === null ? "" : now ? "dark" : "light";
  theme
    .attr("data-to", now ? "light" : "dark")
    .text(now ? "Light" : "Dark")
    .attr("aria-label", now ? "Light colours" : "Dark colours");
}

theme.on("click", () => {
  isDark = !(isDark ?? dark.matches);
  dress();
});
dark.addEventListener("change", dress);
addEventListener("keydown", (event) => event.key === "Escape" && choose({}));
addEventListener("hashchange", () => choose(pointedOut(location.hash.slice(1))));

dress();
paint();
heatKey();
graphKey();
choose(pointedOut(location.hash.slice(1)));
