"""A small Hugging Face hub on this machine: as much of its protocol as fetching a file and committing files takes.

Source: what huggingface_hub 0.36 sends; https://huggingface.co/docs/hub/api.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """One repository, "someone/ro32", in one commit."""

    files: dict[str, bytes]


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._file(send_body=False)

    def do_GET(self) -> None:
        self._file(send_body=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/api/repos/create"):
            self._answer({"url": f"http://{self.headers['Host']}/someone/ro32"})
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for path in paths]
            self._answer({"files": files})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer(
                {
                    "commitOid": COMMIT,
                    "commitUrl": f"http://{self.headers['Host']}/someone/ro32/commit/{COMMIT}",
                    "success": True,
                }
            )
        else:  # the check of the card's head
            self._answer({"errors": [], "warnings": []})

    def _file(self, *, send_body: bool) -> None:
        _, _, path = unquote(self.path).partition(f"/someone/ro32/resolve/{COMMIT}/")
        content = self.server.files.get(path)
        if content is None:
            self.send_response(404)
            known = self.path.startswith("/someone/ro32/")
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if send_body:
            self.wfile.write(content)

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hub() -> Iterator[Hub]:
    """Run a hub while the block lasts."""
    with Hub(("127.0.0.1", 0), _Handler) as server:
        server.files = {}
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def environment(server: Hub, home: Path) -> dict[str, str]:
    """Return the variables that make huggingface_hub ask this hub and no other."""
    return {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_TOKEN": "hf_none",
        "NO_PROXY": "127.0.0.1",
    }
