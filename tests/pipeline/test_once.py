"""One run does once what need not be done twice: opens files, resolves optics, makes observations."""

from collections import Counter
from pathlib import Path

import pytest
from astropy.io import fits

from jwst_fusion import Fusion4Pipeline, observation
from jwst_fusion.inversion import fuse
from jwst_fusion.optics import transfer
from jwst_fusion.steps import optics

from .conftest import QUICK


@pytest.fixture(scope="module")
def counts(data):
    """How often a run opened each file, called each function, and made each container."""
    found = Counter()

    def counted(function, name):
        def count(*args, **kwargs):
            found[name(args[0])] += 1
            return function(*args, **kwargs)

        return count

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fits, "open", counted(fits.open, lambda path: Path(path).name))
        patch.setattr(Path, "read_text", counted(Path.read_text, lambda path: path.name))
        for module, name in ((optics, "choose_source"), (fuse, "transfer_functions"), (transfer, "_nirspec")):
            patch.setattr(module, name, counted(getattr(module, name), lambda _, name=name: name))
        for name in observation.__all__:
            container = getattr(observation, name)
            made = counted(container.__init__, lambda made: type(made).__name__)
            patch.setattr(container, "__init__", made)
        Fusion4Pipeline.call(str(data.association), steps={"fusion": QUICK}, configure_log=False)
    return found


def test_each_file_is_opened_once_and_optics_are_resolved_once(counts, data):
    """The look at the headers hands on what it has opened."""
    names = [path.name for path in data.inputs]
    assert {name: counts[name] for name in names} == dict.fromkeys(names, 1)
    assert counts["choose_source"] == 1
    assert counts["transfer_functions"] == 1


def test_one_observation_and_a_successor_for_each_step(counts, data):
    """Each step but the first takes the observation out of its input; the flux scales make a new one."""
    assert counts["Observation"] == 1 + 2 + 1
    n_images = len(data.images)
    assert counts["ImageProduct"] == 2 * n_images  # as read, and with optics
    assert counts["BandImage"] == (1 + 3 + 1) * n_images  # with bandpass, and with scale
    assert counts["CubeProduct"] == 4  # as in the file, in memory, with optics, cut in wavelength
