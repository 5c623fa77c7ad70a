"""Time to make the report of a fused cube, its size, and the time of a step of its explorer."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

WRITE_LIMIT, STEP_LIMIT, SIZE_LIMIT = 5.0, 0.1, 8.0  # s, s, MB

STEPS = {
    "wavelength": "report.setChannel(100 + 7 * i)",
    "cell": "report.setCell(30 + i, 40)",
    "line map": "report.state.mode = 'line'; report.setChannel(100 + 7 * i)",
}

MEASURE = """
const done = arguments[0], report = window.fusionReport, frame = () => new Promise(requestAnimationFrame);
(async () => { for (let i = 0; i < 20; i++) { %s; await frame(); await frame(); } done(); })();
"""


def make_report(product, page):
    """Make the page of a product; seconds, and seconds of the processor."""
    from jwst_fusion import adapters, datamodels
    from jwst_fusion.quality.report import report_page

    with datamodels.open(product) as model:
        clocks = time.perf_counter(), time.process_time()
        page.write_text(report_page(adapters.report_content(model)), encoding="utf-8")
        return time.perf_counter() - clocks[0], time.process_time() - clocks[1]


def step_times(page, folder):
    """Seconds of the page's main thread for a step of each kind; none without a browser."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        return {}
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"):
        options.add_argument(option)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.set_window_size(1280, 1500)
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.get(page.absolute().as_uri())
        while not browser.execute_script("return window.fusionReport !== undefined"):
            time.sleep(0.1)
        time.sleep(1)
        return {name: _busy(browser, MEASURE % script) / 20 for name, script in STEPS.items()}
    finally:
        browser.quit()


def _busy(browser, script):
    """Seconds that the page's main thread works on a script and what follows from it."""

    def total():
        metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}["TaskDuration"]

    before = total()
    browser.execute_async_script(script)
    return total() - before


def main():
    """Print the figures; the status tells whether all are within their limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "product", type=Path, help="fused cube of a 3 arcsec field, such as demo/disk_fused.fits"
    )
    product = parser.parse_args().product
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        make_report(product, page)  # imports
        seconds, processor = make_report(product, page)
        size = page.stat().st_size / 1e6
        print(f"write       {seconds:6.2f} s, {processor:.2f} s of the processor (limit {WRITE_LIMIT} s)")
        print(f"size        {size:6.2f} MB (limit {SIZE_LIMIT} MB)")
        steps = step_times(page, Path(folder) / "profile")
        for name, step in steps.items():
            print(f"{name:<12}{1e3 * step:6.1f} ms a step (limit {1e3 * STEP_LIMIT:.0f} ms)")
        if not steps:
            print("no chromium with its driver: steps not measured")
    within = processor <= WRITE_LIMIT and size <= SIZE_LIMIT and all(s <= STEP_LIMIT for s in steps.values())
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
