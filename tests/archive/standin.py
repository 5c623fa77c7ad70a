"""What stands in for ``strun`` in tests of the batch: a process of milliseconds, or one that goes wrong."""

import json
import os
import signal
import sys
import time
from pathlib import Path

FATES = ("good", "crash", "hang", "memory", "bad", "empty", "nothing", "partial")


def main(association, output, journal):
    """Do what the name of the target says, and write its end into a journal."""
    name = json.loads(Path(association).read_text())["products"][0]["name"]
    fate = name.split("_")[0]
    if fate == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fate == "hang":
        time.sleep(1000)
    if fate == "memory":
        blocks = []
        while True:
            blocks.append(b"x" * (1 << 24))
            time.sleep(0.01)
    if fate == "bad":
        sys.stdout.write(
            f"2026-01-01 00:00:00,000 - stpipe.{name} - ERROR - {name}_s3d.fits: BUNIT is Jy, MJy/sr needed\n"
        )
        sys.exit(1)
    if fate == "nothing":
        sys.stdout.write("ERROR: no usable data overlap\n")
        sys.exit(64)
    if fate == "empty":
        return
    path = Path(output) / f"{name}_fused.fits"
    with path.open("w") as file:
        for _ in range(10):
            file.write("part\n")
            file.flush()
            time.sleep(float(os.environ.get("STANDIN_SECONDS", "0")) / 10)
    if fate == "partial":
        raise ValueError("broken half way")
    with open(journal, "a") as file:
        file.write(f"{name}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
