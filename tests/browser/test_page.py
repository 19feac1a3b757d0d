"""The HTML report in a real browser: it draws, answers mouse and keyboard, asks nobody, and runs nothing of hosts."""

import re
from dataclasses import replace

import pytest
import results
from browser_page import Page, Show
from printed import figures
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from dockmesh.core.results.model import MeshResult

CELL = "#heat [role=gridcell]"
# The contrast that WCAG asks of text: 4.5, and 3 of what is large or bold.
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
    """What the details are of: all `hosts`, or a `host`, `pair` or `cause`, and which."""
    of = page.one("#details")
    return of.get_attribute("data-view") or "", of.get_attribute("data-of") or ""


def head(page: Page) -> str:
    """The heading of the details, without the button that closes them."""
    return page.one("#details h2").text.removesuffix("✕").strip()


def facts(page: Page, fact: str) -> list[str]:
    """What the details say of one thing, in their order."""
    return [each.text for each in page.all(f"#details dd[data-fact={fact}]")]


def probes(page: Page, **data: str) -> list[tuple[str, str]]:
    """The pair and the kind of each probe in the details."""
    wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
    found = page.all(f"#details h4{wanted}")
    return [(each.get_attribute("data-pair") or "", each.get_attribute("data-kind") or "") for each in found]


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


def test_a_small_mesh_is_a_box_per_host_a_line_per_pair_and_a_cell_per_direction(show: Show) -> None:
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


def test_a_large_mesh_shows_the_pairs_that_fail_and_all_of_the_host_that_is_chosen(show: Show) -> None:
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


def test_hosts_of_a_group_stand_together_and_a_tag_of_ones_own_is_no_group(show: Show) -> None:
    result = results.result(20)
    tags = {0: "b", 1: "a", 2: "b"}
    hosts = tuple(replace(host, tags=(tags.get(at, "a"),)) for at, host in enumerate(result.hosts))
    page = show(replace(result, hosts=hosts))
    assert [name.text for name in page.all("#heat .names.row text")][:3] == ["host1", "host3", "host2"]
    assert [group.text for group in page.all("#graph .groups text")] == ["b", "a"]
    assert len(page.all("#heat .rules path")) == 1
    page = show(replace(result, hosts=tuple(replace(host, tags=(host.host,)) for host in result.hosts)))
    assert page.all("#graph .groups text") == page.all("#heat .rules path") == []


def test_a_click_on_a_cell_tells_of_both_directions_and_why(show: Show) -> None:
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


def test_a_click_on_an_edge_a_name_or_a_row_of_the_details_leads_on(show: Show) -> None:
    page = show(results.result(3, cut=["host2"]))
    (name,) = (each for each in page.all("#heat .names.row text") if each.text == "host2")
    name.click()
    assert (shown(page), facts(page, "underlay")) == (("host", "host2"), ["192.168.18.129"])
    assert (facts(page, "from"), facts(page, "to")) == (["1/5"], ["1/6"])
    page.all("#details table .link")[0].click()
    assert (shown(page), head(page)) == (("pair", "host2/host1"), "host2 → host1")
    page.all("#details h2 .link")[1].click()
    assert (shown(page), head(page)) == (("host", "host1"), "host1")


def test_a_click_on_a_cause_leaves_only_its_pairs_bright(show: Show) -> None:
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


def test_all_of_it_goes_by_keyboard(show: Show) -> None:
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


def test_what_is_focused_can_be_seen(show: Show) -> None:
    page = show(results.result(3))
    ActionChains(page.driver).send_keys(Keys.TAB).perform()
    assert page.run("return document.activeElement.id") == "find"
    assert style(page, "#find", "outline-style") == "solid"


def test_what_eyes_see_is_said_as_well(show: Show) -> None:
    page = show(results.result(3, cut=["host2"]))
    labels = [cell.get_attribute("aria-label") or "" for cell in page.all(CELL)]
    pairs = [(f"host{a}", f"host{b}") for a in range(1, 4) for b in range(1, 4)]
    assert [tuple(re.findall(r"host\d", each)) for each in labels] == pairs
    failed, reached = label(page, "#cell-0-1"), label(page, "#cell-0-2")
    assert failed.endswith(": no reply")
    assert figures(failed) == []
    assert re.search(r"\b0\.50 ms$", reached)
    said = [re.sub(r"host\d|no reply|[\d.]+ ms", "", each) for each in (failed, reached)]
    assert said[0].strip(": ") != said[1].strip(": "), "the state is in words"
    node = page.all("#graph .node")[1].get_attribute("aria-label") or ""
    assert re.findall(r"host\d|\d/\d", node) == ["host2", "1/5", "1/6"]


def test_the_heat_map_has_a_key_of_every_look_of_a_cell(show: Show) -> None:
    page = show(results.result(20, cut=["host7"], silent={"host9": "no login"}))
    looks = {(cell.get_attribute("class") or "").replace(" faded", "") for cell in page.all(CELL)} - {"empty"}
    key = {each.get_attribute("class") for each in page.all("#heat-key i")}
    assert {"failed", "unmade"} < looks <= key
    texts = [each.text for each in page.all("#heat-key > span")]
    assert [re.findall("[◐✗?]", text) for text in texts[-3:]] == [["◐"], ["✗"], ["?"]]
    steps = [float(figures(text)[0]) for text in texts[:-3]]
    assert steps == sorted(set(steps))


def test_failures_differ_by_a_mark_and_not_by_colour_alone(show: Show) -> None:
    page = show(results.result(20, cut=["host7"], silent={"host9": "no login"}))
    marks = {
        state: {path.get_attribute("d") for path in page.all(f"{CELL}.{state} path")} for state in ("failed", "unmade")
    }
    assert len(marks["failed"]) == len(marks["unmade"]) == 1
    assert not marks["failed"] & marks["unmade"]
    assert page.all(f"{CELL}.reached path") == []
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


def test_the_colours_are_the_systems_until_they_are_chosen(show: Show) -> None:
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
    assert all(one != other for one, other in zip(to_light, to_dark, strict=True)), "it is named by what it does"
    button.click()
    assert style(page, "aside", "background-color") == seen["dark"]


def test_a_host_is_found_by_name_and_a_pair_by_the_pages_address(show: Show) -> None:
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


def test_of_two_families_each_can_be_shown_alone(show: Show) -> None:
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
def test_no_size_of_mesh_or_window_makes_the_page_scroll_sideways(show: Show, count: int, width: int) -> None:
    page = show(results.result(count, silent={"host1": "word" * 100}))
    page.window(width, 900)
    page.all("[data-cause]")[0].click()
    assert page.run("return document.documentElement.scrollWidth") <= width
    boxes = [node.rect for node in page.all("#graph .node")]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)


def test_names_and_figures_of_100_hosts_are_large_enough_to_read(show: Show) -> None:
    page = show(results.result(100))
    for selector in ("#graph .node text", "#heat .names text"):
        scale = "return arguments[0].getScreenCTM().a ** 2 + arguments[0].getScreenCTM().b ** 2"
        text = page.all(selector)[0]
        size = float(style(page, selector, "font-size").removesuffix("px")) * page.run(scale, text) ** 0.5
        assert size >= 9, selector


def test_what_hosts_say_is_shown_as_text_and_runs_nowhere(show: Show) -> None:
    page = show(results.result(2, silent={"host1": results.EVIL}))
    page.all("#graph .node")[0].click()
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)> ]]> --> &amp;"
    (error,) = facts(page, "error")
    assert evil in error
    assert evil in page.one(".causes").text
    assert "{{ 7*7 }}" in error
    assert (len(page.all("script")), len(page.all("img"))) == (2, 0)


def test_what_got_into_the_page_all_the_same_could_neither_run_nor_ask(show: Show) -> None:
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
    assert all("Content Security Policy" in each for each in page.said())
    assert {url for url in page.asked() if not url.startswith("file:")} == {"http://192.0.2.1/x.png"}, "it was blocked"


def test_a_mesh_without_hosts_is_a_page_too(show: Show) -> None:
    page = show(MeshResult((), ()))
    verdict = page.one("header .verdict.good").text
    assert re.fullmatch("✓ [^✓✗]+", verdict)
    assert figures(verdict) == []
