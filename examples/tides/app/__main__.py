"""`serve` answers over HTTP, `board ADDRESS DAY` asks it and prints, `health` says whether it answers."""

import sys

from tides import api, board

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            api.serve(8000)
        case ["board", address, day]:
            board.show(address, day)
        case ["health"]:
            board.ask("http://127.0.0.1:8000", "/health")
        case _:
            sys.exit(__doc__)
