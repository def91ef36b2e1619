"""How fast an Ed-Fi API is fetched: `python -m benchmarks.edfi_api [--records N] [--delay SECONDS]`.

A server in a process of its own answers every page after a delay, as one that asks a database does (50 ms is quick
for an ODS/API). What is compared is requests in flight: with one, the delay is the limit; with several, the fetching
side is. Peak memory shows that it does not grow with the records.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pipelines.config import Source
from pipelines.home import Home
from pipelines.sources import edfi_api_client, edfi_api_fetch

_PAGE = edfi_api_fetch.PAGE_ROWS


def _record(number: int) -> dict[str, object]:
    """An attendance event as an API gives it, some 900 bytes."""
    link = {"rel": "Student", "href": "/ed-fi/students/" + "0" * 32}
    return {
        "id": f"{(number * 0x9E3779B97F4A7C15) % (1 << 64):016x}{number:016x}",
        "schoolReference": {"schoolId": 255901001, "link": link},
        "sessionReference": {"schoolId": 255901001, "schoolYear": 2026, "sessionName": "Fall", "link": link},
        "studentReference": {"studentUniqueId": f"{number % 60_000:07d}", "link": link},
        "eventDate": f"2025-09-{number % 28 + 1:02d}",
        "attendanceEventCategoryDescriptor": "uri://ed-fi.org/AttendanceEventCategoryDescriptor#Excused Absence",
        "attendanceEventReason": "x" * 200,
        "_etag": "5249589134163111301",
        "_lastModifiedDate": "2025-09-01T00:00:00Z",
    }


def _serve(records: int, delay: float, ready: multiprocessing.Queue[int]) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def _send(self, body: bytes, total: int | None = None) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if total is not None:
                self.send_header("Total-Count", str(total))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(json.dumps({"access_token": "t", "token_type": "bearer", "expires_in": 1800}).encode())

        def do_GET(self) -> None:
            base = f"http://127.0.0.1:{self.server.server_address[1]}"
            parts = urlsplit(self.path)
            params = dict(parse_qsl(parts.query))
            if parts.path == "/":
                urls = {"oauth": f"{base}/oauth", "dataManagementApi": f"{base}/data", "changeQueries": f"{base}/cq"}
                self._send(json.dumps({"version": "7.1", "dataModels": [], "urls": urls}).encode())
            elif parts.path.startswith("/cq"):
                self._send(b'{"oldestChangeVersion": 0, "newestChangeVersion": 9}')
            else:
                offset, limit = int(params.get("offset", 0)), int(params["limit"])
                time.sleep(delay)
                rows = [_record(n) for n in range(offset, min(offset + limit, records))]
                self._send(json.dumps(rows).encode(), records)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.put(server.server_address[1])
    server.serve_forever()


def _fetch(in_flight: int, folder: Path) -> str:
    edfi_api_fetch.IN_FLIGHT = edfi_api_client.IN_FLIGHT = in_flight
    source = Source.model_validate(
        {"kind": "edfi_api", "connection": "BENCH_ODS", "missing_rows": "full", "entities": {"attendance_event": {}}}
    )

    def keep(path: Path) -> str:
        shutil.copy(path, folder / "kept")
        return "0" * 64

    return edfi_api_fetch.fetch("ods", source, home=Home.open(folder / "home"), scratch=folder, keep=keep).note


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--delay", type=float, default=0.05)
    asked = parser.parse_args()
    ready: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=_serve, args=(asked.records, asked.delay, ready), daemon=True)
    server.start()
    address = f"http://127.0.0.1:{ready.get(timeout=30)}"
    os.environ.update({"BENCH_ODS": address, "BENCH_ODS_KEY": "k", "BENCH_ODS_SECRET": "s"})
    for in_flight in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            note = _fetch(in_flight, Path(folder))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stdout.write(f"{in_flight} in flight: {note}; peak so far {peak} MB\n")
    server.terminate()


if __name__ == "__main__":
    main()
