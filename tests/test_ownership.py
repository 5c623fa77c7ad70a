"""Only what carries the package's own mark may be replaced."""

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import IFUCubeModel

from jwst_fusion.datamodels import CoregisteredModel, FusedCubeModel
from jwst_fusion.exceptions import InputError
from jwst_fusion.ownership import MARK, check_own, is_own, is_plain_name, product_mark

FUSED = product_mark("FusedCubeModel")


def test_what_is_not_there_may_be_made_and_what_others_made_stays(tmp_path):
    check_own(tmp_path / "x", tmp_path / "y")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "own").write_text(f"# {MARK}")
    (tmp_path / "link").symlink_to("own")
    (tmp_path / "dead").symlink_to("nowhere")
    for name in ("file", "empty", "folder", "link", "dead"):
        assert not is_own(tmp_path / name)
        with pytest.raises(InputError, match=f"{name}: not made by jwst-fusion"):
            check_own(tmp_path / "own", tmp_path / name)
    check_own(tmp_path / "own")


@pytest.mark.parametrize("ending", [".fits", ".asdf"])
def test_a_product_is_known_by_its_class(tmp_path, ending):
    data = np.zeros((2, 3, 4), dtype=np.float32)
    paths = {kind: tmp_path / f"{kind.__name__}{ending}" for kind in (FusedCubeModel, CoregisteredModel)}
    for kind, path in paths.items():
        kind(data=data).save(path)
    assert is_own(paths[FusedCubeModel], FUSED)
    assert not is_own(paths[CoregisteredModel], FUSED)
    IFUCubeModel(data=data).save(tmp_path / f"cube{ending}")
    with pytest.raises(InputError, match="cube"):
        FusedCubeModel(data=data).save(tmp_path / f"cube{ending}")


def test_names_that_files_can_have():
    assert all(map(is_plain_name, ["p", "a b", "jw01288-o001_t011", "é", "$(x)", "x" * 200]))
    none = ["", " ", ".", "..", ".x", "-x", "a/b", "a\\b", "a\nb", "\udcff", "x" * 201, "\0", None, 3]
    assert not any(map(is_plain_name, none))
