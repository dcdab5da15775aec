"""A server that takes what W&B 0.31 sends, and keeps it."""

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

BUCKET = {
    "id": "run",
    "name": "run",
    "displayName": "run",
    "description": "",
    "config": "{}",
    "sweepName": None,
    "historyLineCount": 0,
    "project": {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}},
}
ARTIFACT = {"id": "A", "state": "PENDING", "digest": "", "artifactSequence": {"id": "S"}}


class Server(ThreadingHTTPServer):
    """Answers on a free port of this machine.

    Attributes:
        bodies: Of each request, in order: operation or path -> text.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What a GraphQL operation gets; for unknown ones nothing."""
        upload = {"id": "F", "displayName": "F", "uploadUrl": f"{self.url}/up", "uploadHeaders": []}
        manifest = {"id": "M", "file": {**upload, "name": "wandb_manifest.json"}}
        if operation == "UpsertBucket":
            return {"upsertBucket": {"bucket": BUCKET, "inserted": True}}
        if operation == "CreateArtifact":
            return {"createArtifact": {"artifact": {**ARTIFACT}}}
        if operation == "CreateArtifactManifest":
            return {"createArtifactManifest": {"artifactManifest": manifest}}
        if operation == "CommitArtifact":
            return {"commitArtifact": {"artifact": {"id": "A", "digest": ""}}}
        if operation == "CreateRunFiles":
            files = [{**upload, "name": name} for name in variables["files"]]
            return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}
        if operation == "CreateArtifactFiles":
            wanted = variables["input"]["artifactFiles"]
            nodes = [
                {**upload, "name": file["name"], "storagePath": "s", "artifact": {"id": "A"}}
                for file in wanted
            ]
            return {"createArtifactFiles": {"files": {"edges": [{"node": n} for n in nodes]}}}
        return {}


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        text = body.decode(errors="replace")
        about = json.loads(text) if self.path == "/graphql" else {}
        operation = about.get("operationName", self.path)
        self.server.bodies.append((operation, text))
        data = self.server.answer(operation, about.get("variables", {}))
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serve() -> Iterator[Server]:
    """Serve while the body runs."""
    with Server() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
