"""Files are data: nothing in them is run, and nothing of the package would run it."""

import ast
from pathlib import Path

import pytest

import jwst_fusion
from jwst_fusion import datamodels
from jwst_fusion.adapters import open_inputs
from jwst_fusion.exceptions import InputError

MODULES = sorted(Path(jwst_fusion.__file__).parent.rglob("*.py"))
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "shelve", "marshal", "cloudpickle", "joblib"}


def dangers(path):
    """What a module would run of what it reads, or import for it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            yield from {name.partition(".")[0] for name in names} & FORBIDDEN_MODULES
        if isinstance(node, ast.Call):
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            yield from {ast.unparse(node.func)} & FORBIDDEN_CALLS
            yield from (name for name in ("shell", "allow_pickle") if options.get(name, "False") != "False")


def test_nothing_that_runs_what_it_reads():
    found = {str(path): list(dangers(path)) for path in MODULES}
    assert not {path: names for path, names in found.items() if names}


ASDF = """#ASDF 1.0.0
#ASDF_STANDARD 1.5.0
%YAML 1.1
--- !<tag:stsci.edu:asdf/core/asdf-1.1.0>
meta: {{instrument: {{name: NIRSPEC}}, exposure: {{type: NRS_IFU}}}}
data: {payload}
...
"""


@pytest.mark.parametrize(
    "payload", ["object/apply:os.system ['touch owned']", "object/new:os.mkdir ['owned']", "name:os.system"]
)
def test_asdf_that_asks_for_more_than_data(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    Path("x_s3d.asdf").write_text(ASDF.format(payload=f"!!python/{payload}"))
    with pytest.raises(InputError, match=r"x_s3d\.asdf: .*; (fetch|give)"):
        open_inputs(["x_s3d.asdf", "x_s3d.asdf"])
    with pytest.raises(Exception, match=r"python|constructor|tag|valid") as caught:
        datamodels.open("x_s3d.asdf")
    assert caught.type is not SystemExit
    assert [path.name for path in tmp_path.iterdir()] == ["x_s3d.asdf"]


def test_an_association_names_no_file_outside_its_folder():
    for name in ("../x", "/tmp/x", "a/b", "..", ".", "", " ", "a\x00b", "a\nb", 7, None, ["x"], {}):
        association = {"products": [{"name": name, "members": [{"expname": "a_i2d.fits"}]}]}
        with pytest.raises(InputError, match=r"product name .* cannot name a file"):
            open_inputs(association)
