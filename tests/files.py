"""What lies in a folder, to be compared before and after."""

import os


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
