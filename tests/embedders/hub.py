"""A Hugging Face hub of one model, on this machine, and its cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve_hub(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder as the model `name`; yield the URL and the paths of files that are fetched."""
    fetched: list[str] = []
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    api, content = f"/api/models/{name}", f"/{name}/resolve/{COMMIT}/"

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == f"{api}/revision/main":
                self.answer(json.dumps({"id": name, "modelId": name, "sha": COMMIT, "siblings": []}).encode())
            elif path == f"{api}/tree/{COMMIT}":
                self.answer(json.dumps([entry(path, data) for path, data in files.items()]).encode())
            elif path.startswith(content) and path.removeprefix(content) in files:
                file = path.removeprefix(content)
                if self.command == "GET":
                    fetched.append(file)
                self.answer(files[file], ETag=f'"{hashlib.sha256(files[file]).hexdigest()}"')
            else:
                self.answer(b"{}", status=404, **{"X-Error-Code": "RepoNotFound"})

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def answer(self, body: bytes, *, status: int = 200, **headers: str) -> None:
            self.send_response(status)
            standard = {"Content-Length": str(len(body)), "X-Repo-Commit": COMMIT, "Content-Type": "application/json"}
            for header, value in {**standard, **headers}.items():
                self.send_header(header, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def entry(path: str, data: bytes) -> dict[str, object]:
    """Describe a file as the hub does; large kinds are kept apart by their SHA-256."""
    described: dict[str, object] = {"type": "file", "path": path, "size": len(data)}
    digest = hashlib.sha256(data).hexdigest()
    if path.endswith((".safetensors", ".bin")):
        return {**described, "oid": digest[:40], "lfs": {"oid": digest, "size": len(data), "pointerSize": 130}}
    return {**described, "oid": digest[:40]}


def write_cache(cache: Path, name: str, model: Path) -> Path:
    """Write a model into a cache as the hub's library does; return the snapshot: links to blobs named by hash."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    for file in model.rglob("*"):
        if file.is_file():
            blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
            if not blob.exists():
                shutil.copy(file, blob)
            link = snapshot / file.relative_to(model)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    return snapshot
