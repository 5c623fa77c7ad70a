"""A real browser for the tests of the report: Debian's Chromium, driven by selenium."""

import json
import shutil
import time
from contextlib import contextmanager

import pytest

PATIENCE = 60  # s

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--hide-scrollbars", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def find_browser():
    """Paths of Chromium and its driver; the test is skipped where they are not."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium and chromedriver are not on the PATH (make browser installs them on Debian)")
    return browser, driver


@contextmanager
def open_browser(folder):
    """Start a browser with a new, empty profile in a folder; its downloads go there too."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser, driver = find_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*OPTIONS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(option)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        window.get("about:blank")
        window.get_log("performance")  # of the page that the browser begins with
        yield window
    finally:
        window.quit()


def resize(window, width, height=900, *, dark=False):
    """Give the page a width, and the reader's choice of light or dark."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def load(window, page):
    """Open a report from the disk and wait until its explorer is ready."""
    window.get(page.as_uri())
    wait_for(window, "return window.fusionReport !== undefined")


def wait_for(window, script):
    """Wait until a script gives true."""
    end = time.monotonic() + PATIENCE
    while not window.execute_script(script):
        assert time.monotonic() < end, script
        time.sleep(0.05)


def requests(window):
    """Addresses that the page has asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in window.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return [request["request"]["url"] for request in sent]
