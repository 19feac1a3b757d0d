"""A page in a browser, as tests look at it and act on it."""

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
        (found,) = self.all(selector)
        return found

    def run(self, script: str, *given: Any) -> Any:
        """What a script returns, run as the browser's own tools would, past the page's policy."""
        return self.driver.execute_script(script, *given)

    def open(self, fragment: str = "") -> None:
        """Load the page anew, at a place in it."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}{fragment}")

    def said(self) -> list[str]:
        """What the browser's console was told since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        entries = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [each["params"]["request"]["url"] for each in entries if each["method"] == "Network.requestWillBeSent"]

    def colours(self, scheme: str) -> None:
        """What the user prefers, light or dark; back when the page has taken notice."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def window(self, width: int, height: int) -> None:
        """The size of what is seen of the page."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


Show = Callable[[MeshResult], Page]
