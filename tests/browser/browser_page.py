"""A page that is open in a browser, with shortcuts for tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from dockmesh.core.results.model import MeshResult


@dataclass(frozen=True)
class Page:
    """A report that is open in the browser."""

    driver: Chrome
    address: str

    def all(self, selector: str) -> list[WebElement]:
        """The elements that match a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The only element that matches."""
        (element,) = self.all(selector)
        return element

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script past the page's policy and return its result."""
        return self.driver.execute_script(script, *arguments)

    def open(self, fragment: str = "") -> None:
        """Reload the page with a fragment."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}{fragment}")

    def messages(self) -> list[str]:
        """Messages in the browser's console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that the browser requested since the last call."""
        entries = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [each["params"]["request"]["url"] for each in entries if each["method"] == "Network.requestWillBeSent"]

    def colours(self, scheme: str) -> None:
        """Set the preferred colour scheme, and wait until the page has applied it."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def window(self, width: int, height: int) -> None:
        """Set the size of the viewport."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


Show = Callable[[MeshResult], Page]
