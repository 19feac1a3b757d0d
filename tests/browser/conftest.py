"""A real browser for these tests. `make browser` installs its packages."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_page import Page, Show
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from dockmesh.core.results.model import MeshResult
from dockmesh.report.html import render

_HERE = Path(__file__).parent
# The browser's own services must not use the network either, and no name resolves.
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        chrome = Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            # Drop the requests of the browser's start page.
            chrome.get("about:blank")
            chrome.get_log("performance")
            yield chrome
        finally:
            chrome.quit()


@pytest.fixture
def show(driver: Chrome, tmp_path: Path) -> Iterator[Show]:
    """Open a result's page. At the end, check for console messages and requests other than for the page."""
    file = tmp_path / "page.html"
    page = Page(driver, file.as_uri())

    def open_page(result: MeshResult) -> Page:
        file.write_text(render(result), encoding="utf-8")
        page.colours("light")
        page.window(1440, 900)
        page.open()
        return page

    yield open_page
    assert page.messages() == []
    assert {url.split("#")[0] for url in page.requests()} <= {page.address, "data:,", "about:blank"}
