"""A server on this machine that answers like MAST, and gives files."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

OBSERVATIONS = [
    {"obsid": "11", "obs_id": "jw1_nirspec", "instrument_name": "NIRSPEC/IFU", "filters": "F170LP;G235H",
     "target_name": "T", "calib_level": 3, "t_min": 60000.0, "t_max": 60000.1,
     "s_region": "CIRCLE ICRS 1 2 0.001"},
    {"obsid": "12", "obs_id": "jw1_nircam", "instrument_name": "NIRCAM/IMAGE", "filters": "F182M",
     "target_name": "T", "calib_level": 3, "t_min": 60001.0, "t_max": 60001.1,
     "s_region": "CIRCLE ICRS 1 2 0.01"},
]  # fmt: skip


class Mast(BaseHTTPRequestHandler):
    """Serves ``server.files``; ``server.faults`` counts how often a file still comes cut short."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "columnsconfig" in self.path:
            names = (*OBSERVATIONS[0], "obs_collection", "proposal_id")
            kinds = {name: {"type": "numeric" if name == "calib_level" else "string"} for name in names}
            self.answer(json.dumps(kinds).encode())
            return
        request = json.loads(unquote(body.removeprefix("request=")))
        self.server.asked.append(request)
        chosen = {each["paramName"]: each["values"] for each in request["params"]["filters"]}
        rows = OBSERVATIONS if chosen.get("proposal_id") == ["1288"] else []
        kinds = {int: "int", float: "float", str: "string"}
        fields = [{"name": key, "type": kinds[type(value)]} for key, value in OBSERVATIONS[0].items()]
        paging = {"page": 1, "pagesFiltered": 1, "rows": len(rows)}
        content = {"status": "COMPLETE", "fields": fields, "data": rows, "paging": paging}
        self.answer(json.dumps(content).encode())

    def do_GET(self):
        query = parse_qs(urlparse(self.path).query)
        name = (query["uri"][0] if "uri" in query else self.path).rsplit("/", 1)[-1]
        self.server.asked.append(name)
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        if self.server.faults.get(name, 0) > 0 and self.command == "GET":
            self.server.faults[name] -= 1
            content = content[: len(content) // 2]
        self.answer(content)

    do_HEAD = do_GET

    def answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def mast_server():
    """Run the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mast)
    server.files, server.faults, server.asked = {}, {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
