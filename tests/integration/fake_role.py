"""Stands in for a node: answers the health pages, and nothing else. Run as `fake_role.py PORT NAME
[OPTION...]`.

Options: `deaf` ignores SIGTERM, `late=SECONDS` is not ready before that, `dies=CODE` ends with this exit code
at once, `waits=FILE` does not listen before there is such a file.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, NAME, *OPTIONS = sys.argv[1:]
VALUES = dict(option.partition("=")[::2] for option in OPTIONS)
READY_AT = time.monotonic() + float(VALUES.get("late", 0))


class Health(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ready = time.monotonic() >= READY_AT
        if self.path == "/livez":
            self._answer(200, {})
        elif self.path == "/readyz":
            self._answer(200 if ready else 503, {} if ready else {"reasons": ["still asleep"]})
        elif self.path == "/status":
            self._answer(200, {"name": NAME, "state": "serving", "pid": os.getpid()})
        else:
            self._answer(404, {})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


if "dies" in VALUES:
    sys.exit(int(VALUES["dies"]))
if "deaf" in VALUES:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
while "waits" in VALUES and not Path(VALUES["waits"]).exists():
    time.sleep(0.02)
try:
    server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Health)
except OSError as error:
    sys.exit(f"Couldn't listen on 127.0.0.1:{PORT}: {error}.")
print(f"{NAME} serves", flush=True)
server.serve_forever()
