"""A server that takes what W&B 0.31 sends, keeps it, and counts versions of artifacts."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import quote, unquote

PROJECT = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
_UPLOAD = re.compile(r"/up/(A\d+)/(.+)")
_OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")
_STREAM = re.compile(r"/files/e/p/([^/]+)/file_stream")


@dataclass
class SentRun:
    """A run, as the server knows it."""

    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


@dataclass
class SentVersion:
    """A version of an artifact: equal digests are one.

    Attributes:
        made_by: The runs that logged it.
        files: Name -> md5 of what was announced.
        uploaded: Name -> bytes.
    """

    name: str
    type: str
    digest: str
    metadata: dict[str, Any]
    aliases: list[str]
    made_by: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is committed, with all files of its manifest as they were announced."""
        manifest = json.loads(self.uploaded.get("wandb_manifest.json", b"{}"))
        wanted = {name: one["digest"] for name, one in manifest.get("contents", {}).items()}
        there = {name: md5(data) for name, data in self.uploaded.items() if name in wanted}
        return self.committed and bool(wanted) and there == wanted


def md5(data: bytes) -> str:
    """The digest that W&B has of a file."""
    return base64.b64encode(hashlib.md5(data).digest()).decode()


class Server(ThreadingHTTPServer):
    """Answers on a free port of this machine.

    Attributes:
        bodies: Of each request, in order: operation or path -> text.
        artifacts: Versions by their ids.
        runs: Runs by their ids.
        on_request: Called with the number of requests so far, before a request is answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, str]] = []
        self.artifacts: dict[str, SentVersion] = {}
        self.runs: dict[str, SentRun] = {}
        self.used: list[tuple[str, str]] = []
        self.on_request: Callable[[int], None] = lambda count: None
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def versions(self) -> dict[str, list[SentVersion]]:
        """The committed versions of each artifact."""
        found: dict[str, list[SentVersion]] = {}
        for one in self.artifacts.values():
            if one.committed:
                found.setdefault(one.name, []).append(one)
        return found

    def answer(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What a GraphQL operation gets; for unknown ones nothing."""
        handler = getattr(self, f"_{operation}", None)
        return {} if handler is None else handler(variables)

    def _UpsertBucket(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, SentRun())
        run.config |= json.loads(variables.get("config") or "{}")
        run.about |= {key: value for key, value in variables.items() if value is not None}
        return {"upsertBucket": {"bucket": self._bucket(name), "inserted": inserted}}

    def _bucket(self, name: str) -> dict[str, Any]:
        run = self.runs[name]
        return {
            "id": name,
            "name": name,
            "displayName": run.about.get("displayName", name),
            "description": "",
            "config": json.dumps(run.config),
            "summaryMetrics": json.dumps(run.summary),
            "historyLineCount": len(run.history),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in run.history.values()][-1:]),
            "eventsTail": "[]",
            "tags": [],
            "notes": None,
            "sweepName": None,
            "wandbConfig": json.dumps({"t": 1}),
            "project": PROJECT,
        }

    def _RunResumeStatus(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        known = variables["name"] in self.runs
        bucket = self._bucket(variables["name"]) if known else None
        return {"model": {**PROJECT, "bucket": bucket}}

    def _Viewer(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        viewer = {"id": "u", "entity": "e", "username": "e", "flags": "{}", "admin": False}
        return {"viewer": {**viewer, "teams": {"edges": []}}}

    def _ArtifactType(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        given = variables["input"]
        name, digest = given["artifactCollectionName"], given["digest"]
        found = [i for i, one in self.artifacts.items() if (one.name, one.digest) == (name, digest)]
        key = found[0] if found else f"A{len(self.artifacts)}"
        metadata = json.loads(given["metadata"] or "{}")
        new = SentVersion(name, given["artifactTypeName"], digest, metadata, [])
        version = self.artifacts.setdefault(key, new)
        for other in self.artifacts.values():
            if other.name == name:
                other.aliases = []  # each version of ours has all of them
        version.aliases = sorted(one["alias"] for one in given["aliases"])
        version.made_by.append(given["runName"])
        state = "COMMITTED" if version.committed else "PENDING"
        about = {"id": key, "state": state, "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": about}}

    def _ArtifactByID(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        return {"artifact": self._artifact(variables["id"])}

    def _ArtifactMembershipByName(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        name, _, alias = variables["name"].partition(":")
        keys = [key for key, one in self.artifacts.items() if one.name == name]
        names = {key: (f"v{keys.index(key)}", *self.artifacts[key].aliases) for key in keys}
        found = next((self._artifact(key) for key in keys if alias in names[key]), None)
        if found is None:
            return {"project": {"artifactCollectionMembership": None}}
        member = {
            "__typename": "ArtifactCollectionMembership",
            "id": found["id"],
            "versionIndex": found["versionIndex"],
            "createdAt": found["createdAt"],
            "aliases": found["aliases"],
            "artifactCollection": found["artifactSequence"],
            "artifact": found,
        }
        return {"project": {"artifactCollectionMembership": member}}

    def _UseArtifact(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        given = variables.get("input", variables)
        self.used.append((given["runName"], self.artifacts[given["artifactID"]].name))
        return {"useArtifact": {"artifact": self._artifact(given["artifactID"])}}

    def _artifact(self, key: str) -> dict[str, Any]:
        one = self.artifacts[key]
        same = [other for other, version in self.artifacts.items() if version.name == one.name]
        place = {"id": "p", "internalId": "p", "name": "p", "entity": {"name": "e"}}
        aliases = [
            {
                "__typename": "ArtifactAlias",
                "id": alias,
                "alias": alias,
                "artifactCollection": {
                    "__typename": "ArtifactSequence",
                    "name": one.name,
                    "project": place,
                },
            }
            for alias in one.aliases
        ]
        return {
            "__typename": "Artifact",
            "id": key,
            "artifactSequence": {
                "__typename": "ArtifactSequence",
                "name": one.name,
                "project": place,
            },
            "versionIndex": same.index(key),
            "artifactType": {"name": one.type},
            "description": None,
            "metadata": json.dumps(one.metadata),
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": "COMMITTED" if one.committed else "PENDING",
            "size": sum(map(len, one.uploaded.values())),
            "digest": one.digest,
            "commitHash": key,
            "fileCount": len(one.files),
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": None,
            "aliases": aliases,
        }

    def _CreateArtifactManifest(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        key = variables["artifactID"]
        file = self._upload(key, "wandb_manifest.json")
        return {"createArtifactManifest": {"artifactManifest": {"id": f"M{key}", "file": file}}}

    def _CreateArtifactFiles(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        edges = []
        for file in variables["input"]["artifactFiles"]:
            key, name = file["artifactID"], file["name"]
            self.artifacts[key].files[name] = file["md5"]
            node = {**self._upload(key, name), "storagePath": "s", "artifact": {"id": key}}
            edges.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        key = variables["artifactID"]
        self.artifacts[key].committed = True
        about = {"id": key, "digest": self.artifacts[key].digest}
        return {"commitArtifact": {"artifact": about}}

    def _CreateRunFiles(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        files = [self._upload("A0", name, of_run=True) for name in variables["files"]]
        return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}

    def _upload(self, key: str, name: str, of_run: bool = False) -> dict[str, Any]:
        url = f"{self.url}/up" if of_run else f"{self.url}/up/{key}/{quote(name)}"
        return {"id": "F", "name": name, "displayName": name, "uploadUrl": url, "uploadHeaders": []}

    def take(self, path: str, body: bytes) -> None:
        """Keep what is sent to a path: a file of an artifact, lines of a run."""
        upload, stream = _UPLOAD.fullmatch(path), _STREAM.fullmatch(path)
        if upload:
            self.artifacts[upload[1]].uploaded[unquote(upload[2])] = body
        elif stream:
            run = self.runs.setdefault(stream[1], SentRun())
            for name, part in (json.loads(body).get("files") or {}).items():
                for number, line in enumerate(part["content"], part["offset"]):
                    if name == "wandb-summary.json":
                        run.summary = json.loads(line)
                    elif name == "wandb-history.jsonl":
                        run.history[number] = json.loads(line)


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        text = body.decode(errors="replace")
        about = json.loads(text) if self.path == "/graphql" else {}
        place = "/up" if self.path.startswith("/up") else self.path
        named = _OPERATION.search(about.get("query", ""))
        operation = about.get("operationName") or (named[1] if named else place)
        with self.server.lock:
            self.server.bodies.append((operation, text))
            self.server.on_request(len(self.server.bodies))
            self.server.take(self.path, body)
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
