"""What lies in a folder, to be compared before and after, and files that are changed."""

import os

from astropy.io import fits


def contents(folder):
    """Bytes of all files below a folder, links and empty folders too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def edit(path, change):
    """Change the HDUs of a file."""
    with fits.open(path, memmap=False) as hdus:
        change(hdus)
        hdus.writeto(path, overwrite=True)
