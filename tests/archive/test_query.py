"""Questions to MAST, through astroquery itself, to a server on this machine that answers like MAST."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

import pytest
from astropy.io import fits

from jwst_fusion.archive import manifest
from jwst_fusion.cli import main

OBSERVATIONS = [
    {"obsid": "11", "obs_id": "jw1_nirspec", "instrument_name": "NIRSPEC/IFU", "filters": "F170LP;G235H",
     "target_name": "T", "calib_level": 3, "t_min": 60000.0, "t_max": 60000.1,
     "s_region": "CIRCLE ICRS 1 2 0.001"},
    {"obsid": "12", "obs_id": "jw1_nircam", "instrument_name": "NIRCAM/IMAGE", "filters": "F182M",
     "target_name": "T", "calib_level": 3, "t_min": 60001.0, "t_max": 60001.1,
     "s_region": "CIRCLE ICRS 1 2 0.01"},
]  # fmt: skip


class Mast(BaseHTTPRequestHandler):
    """Columns, observations and files."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "columnsconfig" in self.path:
            names = (*OBSERVATIONS[0], "obs_collection", "proposal_id")
            numbers = ("calib_level",)
            self.answer({name: {"type": "numeric" if name in numbers else "string"} for name in names})
            return
        request = json.loads(unquote(body.removeprefix("request=")))
        self.server.requests.append(request)
        chosen = {each["paramName"]: each["values"] for each in request["params"]["filters"]}
        rows = OBSERVATIONS if chosen.get("proposal_id") == ["1288"] else []
        kinds = {int: "int", float: "float", str: "string"}
        template = rows or OBSERVATIONS
        fields = [{"name": key, "type": kinds[type(value)]} for key, value in template[0].items()]
        paging = {"page": 1, "pagesFiltered": 1, "rows": len(rows)}
        self.answer({"status": "COMPLETE", "fields": fields, "data": rows, "paging": paging})

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        assert "uri" in parse_qs(urlparse(self.path).query)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.server.content)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def mast(monkeypatch, tmp_path):
    """The server, which astroquery takes for MAST."""
    from astroquery.mast import Observations

    fits.PrimaryHDU().writeto(tmp_path / "content.fits")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mast)
    server.requests, server.content = [], (tmp_path / "content.fits").read_bytes()
    server.url = f"http://127.0.0.1:{server.server_port}"
    portal = Observations._portal_api_connection
    monkeypatch.setattr(portal, "MAST_REQUEST_URL", f"{server.url}/api/v0/invoke")
    monkeypatch.setattr(portal, "COLUMNS_CONFIG_URL", f"{server.url}/columnsconfig")
    monkeypatch.setattr(portal, "_column_configs", {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_query_becomes_associations_and_files(mast, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["match", "--query", "proposal_id=1288", "--output-dir", str(out), "--download",
               "--base-url", mast.url]  # fmt: skip
    assert main(command) == 0
    assert "2 files fetched" in capsys.readouterr().out
    (target,) = manifest.read_manifest(out / "manifest.json")
    assert target.name == "jw1_nirspec_f182m"
    names = ["jw1_nircam_i2d.fits", "jw1_nirspec_s3d.fits"]
    assert [(file.filename, file.uri) for file in target.files] == [
        (name, f"mast:JWST/product/{name}") for name in names
    ]
    assert [(out / name).read_bytes() for name in names] == [mast.content] * 2
    filters = {each["paramName"]: each["values"] for each in mast.requests[0]["params"]["filters"]}
    assert filters["instrument_name"] == ["NIRSPEC/IFU", "NIRCAM/IMAGE"]
    assert filters["obs_collection"] == ["JWST"]


@pytest.mark.parametrize(
    ("criterion", "status", "message"),
    [
        ("proposal_id=9", 64, "MAST has no level-3 products for proposal_id=9"),
        ("proposal=1288", 1, "MAST does not understand the query"),
        ("1288", 1, "not of the form proposal_id=1288"),
    ],
)
def test_what_finds_nothing_is_told(mast, tmp_path, capsys, criterion, status, message):
    assert main(["match", "--query", criterion, "--output-dir", str(tmp_path / "out")]) == status
    assert message in capsys.readouterr().err


def test_mast_that_does_not_answer_is_told(mast, tmp_path, capsys, monkeypatch):
    from astroquery.mast import Observations

    monkeypatch.setattr(Observations._portal_api_connection, "COLUMNS_CONFIG_URL", "http://127.0.0.1:9/")
    assert main(["match", "--query", "proposal_id=1288", "--output-dir", str(tmp_path / "out")]) == 1
    assert "MAST does not answer" in capsys.readouterr().err


def test_absent_astroquery_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "astroquery.mast", None)
    assert main(["match", "--query", "proposal_id=1288", "--output-dir", str(tmp_path)]) == 1
    assert "pip install 'jwst_fusion[mast]'" in capsys.readouterr().err
