"""What hangs at the quay: asks for the table, and prints it."""

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit


def ask(address, path):
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    content = json.load(response)
    if response.status != 200:
        raise SystemExit(f"{address}{path}: {response.status} {content}")
    return content


def line(harbour, waters):
    return f"{harbour:10}" + "".join(f"  {water['time']} {water['metres']:.1f} m" for water in waters)


def show(address, day):
    for harbour in ask(address, "/harbours"):
        print(line(harbour, ask(address, f"/harbours/{harbour}/{day}")), flush=True)
