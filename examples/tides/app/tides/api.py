"""The table over HTTP, as JSON."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from tides import table


def answer(path):
    """Status and content of what stands at a path: /health, /harbours, /harbours/NAME/DAY."""
    match [unquote(part) for part in path.strip("/").split("/")]:
        case ["health"]:
            return 200, "well"
        case ["harbours"]:
            return 200, sorted(table.HARBOURS)
        case ["harbours", name, day] if name in table.HARBOURS:
            try:
                return 200, table.high_waters(name, day)
            except ValueError as error:
                return 400, str(error)
        case _:
            return 404, "no such place"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, content = answer(self.path)
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(port):
    ThreadingHTTPServer(("", port), Handler).serve_forever()
