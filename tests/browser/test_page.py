"""The HTML report in a real browser: drawing, mouse and keyboard, no network access, hostile text from hosts."""

import re
from dataclasses import replace

import pytest
import results
from browser_page import Page, Show
from printed import figures
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from dockmesh.core.results.model import Failure, FailureCode, MeshResult

CELL = "#heat [role=gridcell]"
# The contrast ratio as WCAG defines it. WCAG requires 4.5 for text.
CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = (colour) => {
  const [r, g, b] = rgb(colour).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const [high, low] = [light(arguments[0]), light(arguments[1])].sort((a, b) => b - a);
return (high + 0.05) / (low + 0.05);
"""


def shown(page: Page) -> tuple[str, str]:
    """The view of the details (`hosts`, `host`, `pair` or `cause`) and its subject."""
    details = page.one("#details")
    return details.get_attribute("data-view") or "", details.get_attribute("data-of") or ""


def head(page: Page) -> str:
    """The heading of the details, without the close button."""
    return page.one("#details h2").text.removesuffix("✕").strip()


def facts(page: Page, fact: str) -> list[str]:
    """The values of one fact in the details, in order."""
    return [each.text for each in page.all(f"#details dd[data-fact={fact}]")]


def probes(page: Page, **data: str) -> list[tuple[str, str]]:
    """The pair and the kind of each probe in the details."""
    wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
    heads = page.all(f"#details h4{wanted}")
    return [(each.get_attribute("data-pair") or "", each.get_attribute("data-kind") or "") for each in heads]


def label(page: Page, selector: str) -> str:
    return page.one(selector).get_attribute("aria-label") or ""


def classes(page: Page, selector: str) -> set[str]:
    return set((page.one(selector).get_attribute("class") or "").split())


def contrast(page: Page, ink: str, paper: str) -> float:
    ratio: float = page.run(CONTRAST, ink, paper)
    return ratio


def style(page: Page, selector: str, name: str) -> str:
    value: str = page.run(
        "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])", selector, name
    )
    return value


def fail_pair(result: MeshResult, source: str, target: str) -> MeshResult:
    """The same result with no reply from source to target."""
    failure = Failure(FailureCode.NO_REPLY, "no reply")
    failed = (
        replace(probe, received=0, rtt_ms=None).failed(failure)
        if (probe.source, probe.target) == (source, target)
        else probe
        for probe in result.probes
    )
    return replace(result, probes=tuple(failed))


def slow_pair(result: MeshResult, source: str, target: str, rtt_ms: float) -> MeshResult:
    """The same result with a slow pair."""
    probes = (
        replace(probe, rtt_ms=rtt_ms) if (probe.source, probe.target) == (source, target) else probe
        for probe in result.probes
    )
    return replace(result, probes=tuple(probes))


def nodes(page: Page, state: str) -> list[str]:
    """The hosts whose node in the graph has a state."""
    return [name.text for name in page.all(f"#graph .node.{state} .name")]


def marked(page: Page) -> set[str]:
    """The hosts whose names the heat map marks as broken."""
    return {name.text for name in page.all("#heat .names .failed, #heat .names .part")}


def test_a_small_mesh_has_a_box_per_host_and_a_cell_per_direction(show: Show) -> None:
    page = show(results.result(3))
    assert [node.text.split("\n") for node in page.all("#graph .node")] == [
        ["✓", "host1", "10.128.0.0/20"],
        ["✓", "host2", "10.128.16.0/20"],
        ["✓", "host3", "10.128.32.0/20"],
    ]
    assert len(page.all("#graph .edges path.reached")) == 3
    assert len(page.all(CELL)) == 9
    assert page.one("#cell-0-1").text.split("\n") == ["✓ ✓ ✓", "0.40 ms"]
    verdict = page.one("header .verdict.good").text
    assert verdict.startswith("✓")
    assert figures(verdict) == ["14"]


def test_a_large_mesh_shows_failing_pairs_and_those_of_the_selected_host(show: Show) -> None:
    page = show(results.result(100, cut=["host7"]))
    assert len(page.all(CELL)) == 10_000
    assert len(page.all("#graph .edges path")) == 99
    assert [node.text for node in page.all("#graph .node.failed")] == ["host7"]
    (host3,) = (node for node in page.all("#graph .node") if node.text == "host3")
    host3.click()
    assert len(page.all("#graph .edges path.near")) == 99
    assert len(page.all("#graph .edges path.failed")) == 1
    assert (shown(page), head(page)) == (("host", "host3"), "host3")
    assert [group.text for group in page.all("#graph .groups text")] == [f"rack{number}" for number in range(1, 11)]


def test_hosts_of_a_group_are_adjacent_and_unique_tags_make_no_group(show: Show) -> None:
    result = results.result(20)
    tags = {0: "b", 1: "a", 2: "b"}
    hosts = tuple(replace(host, tags=(tags.get(at, "a"),)) for at, host in enumerate(result.hosts))
    page = show(replace(result, hosts=hosts))
    assert [name.text for name in page.all("#heat .names.row text")][:3] == ["host1", "host3", "host2"]
    assert [group.text for group in page.all("#graph .groups text")] == ["b", "a"]
    assert len(page.all("#heat .rules path")) == 1
    page = show(replace(result, hosts=tuple(replace(host, tags=(host.host,)) for host in result.hosts)))
    assert page.all("#graph .groups text") == page.all("#heat .rules path") == []


def test_a_click_on_a_cell_shows_both_directions_with_reasons(show: Show) -> None:
    page = show(results.result(3, cut=["host2"], cause="host2 has not joined: dockmesh apply"))
    page.one("#cell-0-1").click()
    assert (shown(page), head(page)) == (("pair", "host1/host2"), "host1 → host2")
    assert [each.text for each in page.all("#details h3")] == ["host2 → host1"]
    kinds = ("host-bridge", "host-container", "container-container")
    assert probes(page) == [(pair, kind) for pair in ("host1/host2", "host2/host1") for kind in kinds]
    assert facts(page, "reason") == ["host2 has not joined: dockmesh apply"] * 6
    assert [figures(each) for each in facts(page, "replies")] == [["0", "3"]] * 6
    page.one("#details .close").click()
    assert shown(page) == ("hosts", "")


def test_names_and_rows_of_the_details_are_links(show: Show) -> None:
    page = show(results.result(3, cut=["host2"]))
    (name,) = (each for each in page.all("#heat .names.row text") if each.text == "host2")
    name.click()
    assert (shown(page), facts(page, "underlay")) == (("host", "host2"), ["192.168.18.129"])
    assert (facts(page, "from"), facts(page, "to")) == (["1/5"], ["1/6"])
    page.all("#details table .link")[0].click()
    assert (shown(page), head(page)) == (("pair", "host2/host1"), "host2 → host1")
    page.all("#details h2 .link")[1].click()
    assert (shown(page), head(page)) == (("host", "host1"), "host1")


def test_a_click_on_a_cause_fades_all_other_pairs(show: Show) -> None:
    page = show(results.result(20, cut=["host7"], silent={"host9": "no login"}))
    silent, lost = page.all("[data-cause]")
    assert re.match(r"host9\b.*\bno login\b", silent.text)
    assert figures(silent.text) == ["93"]
    silent.click()
    assert silent.get_attribute("aria-pressed") == "true"
    bright = {cell.get_attribute("id") for cell in page.all(f"{CELL}:not(.faded)")}
    assert bright == {f"cell-{a}-{b}" for a in range(20) for b in range(20) if 8 in (a, b) and (a, b) != (6, 8)} | {
        "cell-6-8"
    }
    assert shown(page) == ("cause", "0")
    assert re.match(r"host9\b.*\bno login$", page.one("#details p.bad").text)
    listed = len(page.all("#details tbody tr"))
    assert listed == len(bright)
    lost.click()
    assert shown(page) == ("cause", "1")
    assert silent.get_attribute("aria-pressed") == "false"
    silent.click()
    silent.click()
    assert page.all(f"{CELL}.faded") == []


def test_the_keyboard_reaches_every_selection(show: Show) -> None:
    page = show(results.result(3, cut=["host2"]))
    page.one("#heat svg").send_keys(Keys.ARROW_RIGHT)
    assert page.one("#heat svg").get_attribute("aria-activedescendant") == "cell-0-0"
    page.one("#heat svg").send_keys(Keys.ARROW_RIGHT)
    assert shown(page) == ("pair", "host1/host2")
    page.one("#heat svg").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.one("#heat svg").get_attribute("aria-activedescendant") == "cell-2-1"
    page.one("#heat svg").send_keys(Keys.ESCAPE)
    assert shown(page) == ("hosts", "")
    page.all("#graph .node")[0].send_keys(Keys.ARROW_RIGHT)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert shown(page) == ("host", "host2")
    page.one("[data-cause]").send_keys(Keys.SPACE)
    assert shown(page) == ("cause", "0")


def test_the_focus_is_visible(show: Show) -> None:
    page = show(results.result(3))
    ActionChains(page.driver).send_keys(Keys.TAB).perform()
    assert page.run("return document.activeElement.id") == "find"
    assert style(page, "#find", "outline-style") == "solid"


def test_cells_and_nodes_have_labels_for_screen_readers(show: Show) -> None:
    page = show(results.result(3, cut=["host2"]))
    labels = [cell.get_attribute("aria-label") or "" for cell in page.all(CELL)]
    pairs = [(f"host{a}", f"host{b}") for a in range(1, 4) for b in range(1, 4)]
    assert [tuple(re.findall(r"host\d", each)) for each in labels] == pairs
    failed, reached = label(page, "#cell-0-1"), label(page, "#cell-0-2")
    assert failed.endswith(": no reply")
    assert figures(failed) == []
    assert re.search(r"\b0\.50 ms$", reached)
    words = [re.sub(r"host\d|no reply|[\d.]+ ms", "", each) for each in (failed, reached)]
    assert words[0].strip(": ") != words[1].strip(": "), "the label names the state"
    node = page.all("#graph .node")[1].get_attribute("aria-label") or ""
    assert re.findall(r"host\d|\d/\d", node) == ["host2", "1/5", "1/6"]


def test_the_legend_explains_every_look_of_a_cell(show: Show) -> None:
    page = show(results.result(20, cut=["host7"], silent={"host9": "no login"}))
    looks = {(cell.get_attribute("class") or "").replace(" faded", "") for cell in page.all(CELL)} - {"empty"}
    key = {each.get_attribute("class") for each in page.all("#heat-key i")}
    assert {"failed", "unmade"} < looks <= key
    texts = [each.text for each in page.all("#heat-key > span")]
    assert [re.findall("[◐✗?]", text) for text in texts[-3:]] == [["◐"], ["✗"], ["?"]]
    steps = [float(figures(text)[0]) for text in texts[:-3]]
    assert steps == sorted(set(steps))


def test_failures_have_a_mark_as_well_as_a_colour(show: Show) -> None:
    page = show(results.result(20, cut=["host7"], silent={"host9": "no login"}))
    marks = {
        state: {path.get_attribute("d") for path in page.all(f"{CELL}.{state} path")} for state in ("failed", "unmade")
    }
    assert len(marks["failed"]) == len(marks["unmade"]) == 1
    assert not marks["failed"] & marks["unmade"]
    assert page.all(f"{CELL}.reached path") == []
    page = show(fail_pair(results.result(20, cut=["host7"]), "host1", "host2"))
    shapes = {state: page.all(f"#graph .node.{state} path")[0].get_attribute("d") for state in ("failed", "part")}
    assert shapes["failed"] != shapes["part"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_both_colour_schemes(show: Show, scheme: str) -> None:
    page = show(results.result(3, cut=["host2"], silent={"host3": "no login"}))
    page.colours(scheme)
    card = style(page, "aside", "background-color")
    darkness = contrast(page, card, "black")
    assert darkness < 2 if scheme == "dark" else darkness > 15
    for selector in ("body", ".dim", ".when", ".verdict", ".link", "#details .bad, #details .failed", ".causes b"):
        for paper in (card, style(page, ":root", "background-color")):
            assert contrast(page, style(page, selector, "color"), paper) >= 4.5, selector
    for state in ("step0", "step1", "step2", "step3", "step4", "failed", "part", "unmade"):
        page.run("document.querySelector(arguments[0]).setAttribute('class', arguments[1])", "#cell-0-0", state)
        ink, paper = (style(page, f"#cell-0-0 {part}", "fill") for part in ("text", "rect"))
        assert contrast(page, ink, paper) >= 4.5, (state, ink, paper)


def test_the_page_follows_the_systems_colours_until_the_button_is_used(show: Show) -> None:
    page = show(results.result(3))
    seen = {scheme: (page.colours(scheme), style(page, "aside", "background-color"))[1] for scheme in ("light", "dark")}
    assert seen["light"] != seen["dark"]
    button = page.one("#theme")
    assert button.get_attribute("data-to") == "light"
    to_light = (button.text, button.get_attribute("aria-label"))
    button.click()
    assert style(page, "aside", "background-color") == seen["light"]
    assert button.get_attribute("data-to") == "dark"
    to_dark = (button.text, button.get_attribute("aria-label"))
    assert all(to_light + to_dark)
    assert all(one != other for one, other in zip(to_light, to_dark, strict=True)), "the label names the effect"
    button.click()
    assert style(page, "aside", "background-color") == seen["dark"]


def test_the_search_selects_a_host_and_the_fragment_a_pair(show: Show) -> None:
    page = show(results.result(20))
    page.one("#find").send_keys("host12")
    assert shown(page) == ("host", "host12")
    page.open("#host3/host5")
    assert shown(page) == ("pair", "host3/host5")
    assert page.run("return location.hash") == "#host3/host5"
    page.open("#%ff<b>nobody")
    assert shown(page) == ("hosts", "")


def test_one_kind_of_probe_can_be_shown_alone(show: Show) -> None:
    page = show(results.result(3, silent={"host3": "no login"}))
    assert page.one("#cell-0-1").text.startswith("✓ ✓ ✓")
    Select(page.one("#kind")).select_by_value("host-bridge")
    assert page.one("#cell-0-1").text.startswith("✓\n")
    assert classes(page, "#cell-0-0") == {"empty"}
    assert re.findall(r"host\d|\d+\.\d+", label(page, "#cell-0-0")) == ["host1", "host1"]


def test_each_of_two_families_can_be_shown_alone(show: Show) -> None:
    page = show(results.result(3, dual=True))
    assert page.one("#cell-1-0").text.split("\n")[0] == "✓ ✓ ✓"
    assert page.one("#cell-1-2").text.split("\n")[:2] == ["✓", "✓"]
    page.one("#cell-1-2").click()
    four, six = (page.one(f"#details h4[data-pair='host2/host3'][data-family='{family}']").text for family in (4, 6))
    assert six != four
    assert "IPv6" in six
    assert "IPv6" not in four
    Select(page.one("#family")).select_by_value("6")
    assert classes(page, "#cell-1-0") == {"empty"}
    assert re.findall(r"host\d|\d+\.\d+", label(page, "#cell-1-0")) == ["host2", "host1"]
    assert probes(page, pair="host2/host3") == [("host2/host3", "host-bridge")]
    assert probes(page, family="4") == []
    assert facts(page, "ttl")[0] == "64"
    alone = show(results.result(3))
    assert not alone.one("#family").is_displayed()


@pytest.mark.parametrize("count", [1, 2, 3, 12, 13, 100])
@pytest.mark.parametrize("width", [400, 1440])
def test_the_page_never_scrolls_sideways(show: Show, count: int, width: int) -> None:
    page = show(results.result(count, silent={"host1": "word" * 100}))
    page.window(width, 900)
    page.all("[data-cause]")[0].click()
    assert page.run("return document.documentElement.scrollWidth") <= width
    boxes = [node.rect for node in page.all("#graph .node")]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)


def test_names_of_100_hosts_are_large_enough_to_read(show: Show) -> None:
    page = show(results.result(100))
    for selector in ("#graph .node text", "#heat .names text"):
        scale = "return arguments[0].getScreenCTM().a ** 2 + arguments[0].getScreenCTM().b ** 2"
        text = page.all(selector)[0]
        size = float(style(page, selector, "font-size").removesuffix("px")) * page.run(scale, text) ** 0.5
        assert size >= 9, selector


def test_text_from_hosts_is_shown_and_never_run(show: Show) -> None:
    page = show(results.result(2, silent={"host1": results.EVIL}))
    page.all("#graph .node")[0].click()
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)> ]]> --> &amp;"
    (error,) = facts(page, "error")
    assert evil in error
    assert evil in page.one(".causes").text
    assert "{{ 7*7 }}" in error
    assert (len(page.all("script")), len(page.all("img"))) == (2, 0)


def test_the_policy_blocks_injected_scripts_and_requests(show: Show) -> None:
    page = show(results.result(2))
    blocked = page.driver.execute_async_script("""
        const [done] = arguments;
        const blocked = [];
        document.addEventListener("securitypolicyviolation", (event) => {
          blocked.push(event.effectiveDirective);
          if (blocked.length === 3) done(blocked.sort());
        });
        const script = document.createElement("script");
        script.textContent = "window.broken = true";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src='http://192.0.2.1/x.png'>");
        fetch("http://192.0.2.1/x").catch(() => null);
    """)
    assert blocked == ["connect-src", "img-src", "script-src-elem"]
    assert page.run("return window.broken") is None
    assert all("Content Security Policy" in each for each in page.messages())
    assert {url for url in page.requests() if not url.startswith("file:")} == {"http://192.0.2.1/x.png"}, (
        "the policy blocks it"
    )


def test_a_mesh_without_hosts_has_a_page(show: Show) -> None:
    page = show(MeshResult((), ()))
    verdict = page.one("header .verdict.good").text
    assert re.fullmatch("✓ [^✓✗]+", verdict)
    assert figures(verdict) == []


@pytest.mark.parametrize("count", [3, 40, 100])
def test_only_the_broken_host_looks_broken(show: Show, count: int) -> None:
    page = show(results.result(count, cut=["host2"]))
    assert nodes(page, "failed") == ["host2"]
    assert nodes(page, "part") == []
    assert len(nodes(page, "reached")) == count - 1
    assert marked(page) == {"host2"}
    assert [mark.text for mark in page.all("#heat .host-marks text")] == ["✗", "✗"]
    rows = page.all("#details tbody tr")
    assert rows[0].text.startswith("✗ host2")
    assert not any(row.find_elements("css selector", ".failed, .part") for row in rows[1:])


def test_a_silent_host_and_several_broken_hosts_stand_out(show: Show) -> None:
    page = show(results.result(20, cut=["host7", "host8"], silent={"host9": "no login"}))
    assert nodes(page, "failed") == ["host7", "host8", "host9"]
    assert nodes(page, "part") == []
    assert marked(page) == {"host7", "host8", "host9"}


def test_a_failure_between_healthy_hosts_marks_both_ends(show: Show) -> None:
    page = show(fail_pair(results.result(20, cut=["host7"]), "host1", "host2"))
    assert nodes(page, "failed") == ["host7"]
    assert sorted(nodes(page, "part")) == ["host1", "host2"]


def test_a_healthy_host_names_the_broken_host_it_fails_with(show: Show) -> None:
    page = show(results.result(20, cut=["host7"]))
    page.open("#host3")
    (note,) = facts(page, "note")
    assert re.findall(r"host\d+", note) == ["host7"]
    assert page.all("#details dl .bad") == []


@pytest.mark.parametrize("count", [4, 40])
def test_an_outlier_does_not_flatten_the_scale(show: Show, count: int) -> None:
    plain, outlier = results.result(count), slow_pair(results.result(count), "host1", "host2", 900)

    def looks(page: Page) -> dict[str, str]:
        cells: dict[str, str] = page.run(
            "return Object.fromEntries([...document.querySelectorAll(arguments[0])]"
            ".map((cell) => [cell.id, cell.getAttribute('class')]))",
            CELL,
        )
        return cells

    before, after = looks(show(plain)), looks(page := show(outlier))
    differing = {cell for cell, look in before.items() if look != after[cell]}
    assert differing == {"cell-0-1"}
    assert set(after["cell-0-1"].split()) >= {"reached", "outlier"}
    key = {each.get_attribute("class") or "": each for each in page.all("#heat-key i")}
    assert any("outlier" in look.split() for look in key)


def test_slow_links_between_sites_share_a_scale_with_fast_ones(show: Show) -> None:
    result = results.result(20)
    far = tuple(
        replace(probe, rtt_ms=80.0) if (probe.source < "host15") != (probe.target < "host15") else probe
        for probe in result.probes
    )
    page = show(replace(result, probes=far))
    steps = [float(figures(each.text)[0]) for each in page.all("#heat-key > span")[:-3]]
    assert steps[0] <= 0.5
    assert steps[-1] == 100
    assert len({(cell.get_attribute("class") or "") for cell in page.all(f"{CELL}.reached")}) >= 3


@pytest.mark.parametrize("count", [3, 20])
def test_bold_names_fit_into_the_picture(show: Show, count: int) -> None:
    result = results.result(count)
    new = {host.host: f"WWWMMM-{host.host}-WW" for host in result.hosts}
    hosts = tuple(replace(host, host=new[host.host]) for host in result.hosts)
    probes = tuple(replace(each, source=new[each.source], target=new[each.target]) for each in result.probes)
    page = show(replace(result, hosts=hosts, probes=probes))
    for name in list(new.values())[:3]:
        page.run("location.hash = arguments[0]", f"#{name}")
        page.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        assert shown(page) == ("host", name)
        outside = page.run("""
            const frame = (text) => text.closest(".node:has(rect)")?.querySelector("rect") ?? text.ownerSVGElement;
            return [...document.querySelectorAll("#heat .chosen, #graph .chosen .name")].filter((text) => {
              const [inner, outer] = [text, frame(text)].map((each) => each.getBoundingClientRect());
              const wide = inner.left < outer.left || inner.right > outer.right;
              return wide || inner.top < outer.top || inner.bottom > outer.bottom;
            }).map((text) => text.textContent);
        """)
        assert outside == []


def test_small_and_large_meshes_have_a_legend_of_the_marks(show: Show) -> None:
    page = show(results.result(3))
    assert [each.text[0] for each in page.all("#graph-key > span")] == ["✓", "◐", "✗"]
    order = re.findall(r"(?:host|container) → (?:bridge|container)", page.one("#marks-key").text)
    assert order == ["host → bridge", "host → container", "container → container"]
    assert len(page.one("#cell-0-1").text.split("\n")[0].split()) == len(order)
    page = show(results.result(20))
    assert [each.text[0] for each in page.all("#graph-key > span")] == ["●", "▲", "✗"]


def copy(page: Page, button: str, clipboard: str) -> str | None:
    """What a copy button copies, with `navigator.clipboard` replaced by a script's value."""
    page.run(f"""
        window.copied = null;
        Object.defineProperty(navigator, "clipboard", {{ configurable: true, value: {clipboard} }});
        document.addEventListener("copy", () => {{ window.copied = document.activeElement.value; }}, {{ once: true }});
    """)
    page.one(button).click()
    page.driver.execute_async_script("setTimeout(arguments[0], 50)")
    text: str | None = page.run("return window.copied")
    return text


@pytest.mark.parametrize(
    "clipboard",
    [
        "{ writeText: async (text) => { window.copied = text; } }",
        "undefined",
        "{ writeText: () => Promise.reject(new Error()) }",
    ],
)
def test_a_button_copies_a_command_with_or_without_a_clipboard(show: Show, clipboard: str) -> None:
    command = "dockmesh apply --limit host2"
    page = show(results.result(3, cut=["host2"], cause=f"host2 has not joined: {command}"))
    assert page.one(".causes code").text == command
    assert "mono" in style(page, ".causes code", "font-family").lower()
    assert copy(page, ".causes .copy", clipboard) == command
    assert page.one(".causes .copy").text == "Copied"
    page.one("#cell-0-1").click()
    assert facts(page, "reason") == [f"host2 has not joined: {command}"] * 6
    assert len(facts(page, "command")) == 1, "six equal reasons need one button"
    assert copy(page, "#details .copy", clipboard) == command


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("docker0 is small: dockmesh apply, which gives docker0 that MTU", "dockmesh apply"),
        ("a is lost: dockmesh apply --limit a,'@rack1'", None),
        ("a is lost: dockmesh apply --limit '@rack1,host[1-3]'", "dockmesh apply --limit '@rack1,host[1-3]'"),
        ("see dockmesh trace host1 host2.", "dockmesh trace host1 host2"),
        ("dockmesh apply --limit $(reboot)", None),
        ("dockmesh apply;reboot", None),
        ("dockmesh destroy", None),
    ],
)
def test_only_plain_dockmesh_commands_have_a_copy_button(show: Show, reason: str, command: str | None) -> None:
    page = show(results.result(3, cut=["host2"], cause=reason))
    commands = [button.get_attribute("data-command") for button in page.all(".causes .copy")]
    assert commands == ([command] if command else [])
    assert reason in page.one(".causes").text


def test_a_mesh_called_mesh_is_named_once(show: Show) -> None:
    result = results.result(3)
    assert show(replace(result, mesh="mesh")).one("h1").text == "mesh"
    assert show(replace(result, mesh=None)).one("h1").text == "mesh"
    assert show(result).one("h1").text == "mesh lab"


def test_a_small_mesh_lists_hosts_and_failures_below_the_pictures(show: Show) -> None:
    page = show(results.result(4, cut=["host2"]))
    assert [row.get_attribute("data-host") for row in page.all("#tables [data-host]")] == [
        f"host{n}" for n in range(1, 5)
    ]
    failures = [row.get_attribute("data-failure") or "" for row in page.all("#tables [data-failure]")]
    assert sorted(failures) == sorted(
        f"host{a}/host{b}" for a in range(1, 5) for b in range(1, 5) if a != b and 2 in (a, b)
    )
    bottom = page.run("return document.querySelector('#tables').getBoundingClientRect().bottom")
    assert bottom > 850
    page.one("#tables [data-failure='host1/host2'] .link").click()
    assert shown(page) == ("pair", "host1/host2")
    Select(page.one("#kind")).select_by_value("container-container")
    assert len(page.all("#tables [data-failure]")) == 4
    assert not show(results.result(20)).one("#tables").is_displayed()
