"""A Hugging Face Hub on loopback: what huggingface_hub, datasets and evaluate ask of it, kept in memory.

In a test: `with HubServer() as hub:` gives `hub.url` for `HF_ENDPOINT`; as a process: `python hub_server.py PORT`.
It records every byte that it is sent (`hub.received()`), and can be told to fail (`hub.fail(...)`). It can't stand for
the real Hub's validation, its badges, Xet storage or gating.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from loopback import LoopbackServer, Request

NOW = "2026-11-22T00:00:00.000Z"
KINDS = ("models", "datasets", "spaces")
_EVAL_RESULTS = re.compile(r"\.eval_results/[^/]+\.ya?ml")


def blob_id(data: bytes) -> str:
    """Returns the name that git gives the content, which the client computes too."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True)
class User:
    """Whose token it is, and the organisations where it may write."""

    name: str
    organizations: tuple[str, ...] = ()
    role: str = "write"

    def may_write(self, owner: str) -> bool:
        return self.role == "write" and owner in (self.name, *self.organizations)


USERS = {"hf_tester": User("tester", ("some-org",)), "hf_reader": User("reader", role="read")}


@dataclass
class PullRequest:
    number: int
    title: str
    author: str
    status: str = "open"


@dataclass
class Repository:
    """One repository: the files of each commit by its hash, and where each branch and pull request is."""

    kind: str
    id: str
    private: bool
    sdk: str | None = None
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    pull_requests: list[PullRequest] = field(default_factory=list)

    @property
    def owner(self) -> str:
        return self.id.partition("/")[0]

    def find(self, revision: str) -> str:
        commit = self.refs.get(revision, revision)
        if commit not in self.commits:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def files(self, revision: str = "main") -> Mapping[str, bytes]:
        """Returns what a revision holds, by path; nothing where there is none."""
        return self.commits.get(self.refs.get(revision, revision), {})

    def commit(self, ref: str, added: Mapping[str, bytes], deleted: tuple[str, ...] = (), message: str = "") -> str:
        kept = {
            path: data
            for path, data in self.files(ref if ref in self.refs else "main").items()
            if not any(path == gone or (gone.endswith("/") and path.startswith(gone)) for gone in deleted)
        }
        name = hashlib.sha1(f"{self.id} {ref} {len(self.commits)}".encode()).hexdigest()
        self.commits[name] = {**kept, **added}
        self.messages[name] = message
        self.refs[ref] = name
        return name


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    @classmethod
    def error(cls, status: int, code: str, message: str | None = None) -> Answer:
        return cls.json(
            {"error": message or code}, status, **{"X-Error-Code": code, "X-Error-Message": message or code}
        )


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.answer = Answer.error(status, code, message)


@dataclass
class _Failure:
    matches: Callable[[Received], bool]
    after: int
    times: int
    status: int
    hang: float
    seen: int = 0


class HubServer(LoopbackServer):
    """The Hub, answering on 127.0.0.1 while the block lasts.

    Args:
        users: By token.
        lfs_from: Files of at least so many bytes are uploaded as large ones, apart from the commit; none by default.
        port: 0 takes a free one.
    """

    def __init__(self, users: Mapping[str, User] | None = None, *, lfs_from: int | None = None, port: int = 0) -> None:
        super().__init__(port=port)
        self.users = dict(users or USERS)
        self.lfs_from = lfs_from
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[Received] = []
        self._failures: list[_Failure] = []

    def environment(self, token: str | None = "hf_tester") -> dict[str, str]:
        """Returns what a process needs to take this for the Hub; to be set before it imports anything."""
        settings = {
            "HF_ENDPOINT": self.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        return settings | ({"HF_TOKEN": token} if token else {})

    def create(self, kind: str, id: str, *, private: bool = False, sdk: str | None = None) -> Repository:
        """Returns a new repository; `kind` is `models`, `datasets` or `spaces`."""
        found = self.repositories[kind, id] = Repository(kind, id, private, sdk)
        found.commit("main", {".gitattributes": b""})
        return found

    def repository(self, kind: str, id: str) -> Repository:
        """Returns the repository with this name."""
        return self.repositories[kind, id]

    def received(self) -> list[bytes]:
        """Returns everything that was sent here: paths, bodies, and what is in them once unpacked."""
        found: list[bytes] = []
        for request in self.requests:
            found += [request.path.encode(), request.body]
            if "/commit/" in request.path:
                for line in request.body.splitlines():
                    value = json.loads(line).get("value", {})
                    if "content" in value:
                        found.append(base64.b64decode(value["content"]))
            if "/preupload/" in request.path:
                found += [base64.b64decode(file.get("sample", "")) for file in json.loads(request.body)["files"]]
        return found

    def fail(
        self,
        matches: Callable[[Received], bool] = lambda request: True,
        *,
        after: int = 0,
        times: int = 1,
        status: int = 500,
        hang: float = 0.0,
    ) -> None:
        """Fails matching requests: lets `after` of them pass, then `times` get `status`, each after `hang` seconds."""
        self._failures.append(_Failure(matches, after, times, status, hang))

    def answer(self, request: Request) -> None:
        answer = self._take(Received(request.command, request.path, request.body), request.headers)
        request.send(answer.status, answer.body, answer.headers)

    def _take(self, request: Received, headers: Mapping[str, str]) -> Answer:
        with self.lock:
            self.requests.append(request)
            failure = self._due(request)
        if failure is not None:
            time.sleep(failure.hang)
            return Answer.error(failure.status, "Broken", "this server was told to fail")
        with self.lock:
            try:
                return _Route(self, request, headers).answer()
            except _RefusedError as error:
                return error.answer

    def _due(self, request: Received) -> _Failure | None:
        for failure in self._failures:
            if failure.matches(request):
                failure.seen += 1
                if failure.after < failure.seen <= failure.after + failure.times:
                    return failure
        return None


class _Route:
    """One request on its way to its answer."""

    def __init__(self, hub: HubServer, request: Received, headers: Mapping[str, str]) -> None:
        self.hub = hub
        self.request = request
        self.headers = headers
        parts = urlsplit(request.path)
        self.path = parts.path
        self.query = parse_qs(parts.query, keep_blank_values=True)
        authorization = headers.get("Authorization") or ""
        self.token_given = bool(authorization)
        self.user = hub.users.get(authorization.removeprefix("Bearer "))

    def answer(self) -> Answer:
        if self.path == "/api/whoami-v2":
            return self._whoami()
        if self.path == "/api/validate-yaml":
            return Answer.json({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            return self._create()
        if match := re.fullmatch(r"/_large/(\w+)", self.path):
            self.hub.large[match[1]] = self.request.body
            return Answer()
        if match := re.fullmatch(r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.path):
            return self._large_files(match[1] or "models", match[2])
        if match := re.fullmatch(r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path):
            kind, name, revision, file = match.groups()
            return self._resolve(kind or "models", name, unquote(revision), unquote(file))
        if match := re.fullmatch(r"/api/(models|datasets|spaces)/([^/]+/[^/]+)(?:/([^/]+)(?:/(.*))?)?", self.path):
            kind, name, what, rest = match.groups()
            return self._about(self._visible(kind, name), what or "revision", unquote(rest or ""))
        return Answer.error(404, "NotFound", self.path)

    def _json(self) -> Any:
        return json.loads(self.request.body or b"{}")

    def _page(self, kind: str, name: str) -> str:
        return f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"

    def _whoami(self) -> Answer:
        if self.user is None:
            return Answer.error(401, "Unauthorized", "Invalid credentials in Authorization header")
        organizations = [{"name": name, "roleInOrg": "write"} for name in self.user.organizations]
        token = {"accessToken": {"role": self.user.role, "displayName": "test"}}
        return Answer.json(
            {"type": "user", "id": "0", "name": self.user.name, "fullname": self.user.name, "avatarUrl": ""}
            | {"orgs": organizations, "auth": {"type": "access_token", **token}}
        )

    def _create(self) -> Answer:
        asked = self._json()
        if self.user is None:
            return Answer.error(401, "Unauthorized", "Invalid credentials in Authorization header")
        kind = asked.get("type", "model") + "s"
        name = f"{asked.get('organization') or self.user.name}/{asked['name']}"
        if not self.user.may_write(name.partition("/")[0]):
            return Answer.error(403, "Forbidden", f"You don't have the rights to create {name}")
        url = self._page(kind, name)
        if (kind, name) in self.hub.repositories:
            return Answer.json({"error": "You already created this repo", "url": url}, 409)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.create(kind, name, private=private, sdk=asked.get("sdk"))
        return Answer.json({"url": url, "name": name, "id": "0"})

    def _visible(self, kind: str, name: str) -> Repository:
        found = self.hub.repositories.get((kind, name))
        if self.token_given and self.user is None:
            raise _RefusedError(401, "Unauthorized", "Invalid credentials in Authorization header")
        members = (self.user.name, *self.user.organizations) if self.user else ()
        if found is None or (found.private and found.owner not in members):
            raise _RefusedError(404 if self.user else 401, "RepoNotFound", "Repository not found")
        return found

    def _check_writable(self, found: Repository) -> None:
        if self.user is None:
            raise _RefusedError(401, "RepoNotFound", "Repository not found")
        if not self.user.may_write(found.owner):
            raise _RefusedError(403, "Forbidden", "you have no write access")

    def _large_files(self, kind: str, name: str) -> Answer:
        found = self._visible(kind, name)
        self._check_writable(found)
        objects = []
        for one in self._json()["objects"]:
            known = one["oid"] in self.hub.large
            upload = {"actions": {"upload": {"href": f"{self.hub.url}/_large/{one['oid']}"}}}
            objects.append({"oid": one["oid"], "size": one["size"], **({} if known else upload)})
        return Answer.json({"transfer": "basic", "objects": objects})

    def _about(self, found: Repository, what: str, rest: str) -> Answer:
        handlers: dict[str, Callable[[Repository, str], Answer]] = {
            "revision": self._info,
            "tree": self._tree,
            "paths-info": self._paths,
            "preupload": self._preupload,
            "commit": self._commit,
            "branch": self._branch,
            "settings": self._settings,
            "discussions": self._discussions,
            "leaderboard": self._leaderboard,
        }
        handler = handlers.get(what)
        return handler(found, rest) if handler else Answer.error(404, "NotFound", self.path)

    def _info(self, found: Repository, revision: str) -> Answer:
        commit = found.find(revision or "main")
        files = found.commits[commit]
        about: dict[str, Any] = {
            "_id": "0" * 24,
            "id": found.id,
            "modelId": found.id,
            "author": found.owner,
            "sha": commit,
            "lastModified": NOW,
            "createdAt": NOW,
            "private": found.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "sdk": found.sdk,
            "cardData": _front_matter(files),
            "siblings": [
                {"rfilename": path, "size": len(data), "blobId": blob_id(data)} for path, data in files.items()
            ],
        }
        if "evalResults" in self.query.get("expand", []):
            about["evalResults"] = _eval_results(files)
        return Answer.json(about)

    def _tree(self, found: Repository, rest: str) -> Answer:
        revision, _, folder = rest.partition("/")
        commit = found.find(revision)
        start = f"{folder}/" if folder else ""
        inside = {path: data for path, data in found.commits[commit].items() if path.startswith(start)}
        if folder and not inside:
            return Answer.error(404, "EntryNotFound", f"{folder} does not exist")
        deep = self.query.get("recursive", [""])[0].lower() in ("1", "true")
        entries: dict[str, dict[str, Any]] = {}
        for path, data in sorted(inside.items()):
            parts = path[len(start) :].split("/")
            for depth in range(1, len(parts) if deep else min(2, len(parts))):
                above = start + "/".join(parts[:depth])
                entries.setdefault(above, _folder_entry(above))
            if deep or len(parts) == 1:
                entries[path] = _file_entry(path, data)
        return Answer.json(list(entries.values()))

    def _paths(self, found: Repository, revision: str) -> Answer:
        commit = found.find(revision)
        form = "json" not in (self.headers.get("Content-Type") or "")
        asked = parse_qs(self.request.body.decode()).get("paths", []) if form else self._json().get("paths", [])
        files = found.commits[commit]
        known = [_file_entry(path, files[path]) for path in asked if path in files]
        folders = [path for path in asked if path not in files and any(f.startswith(f"{path}/") for f in files)]
        return Answer.json(known + [_folder_entry(path) for path in folders])

    def _preupload(self, found: Repository, revision: str) -> Answer:
        as_request = self.query.get("create_pr") == ["1"] or revision.startswith("refs/pr/")
        if not as_request:
            self._check_writable(found)
        files = found.files(revision)
        answers = []
        for file in self._json()["files"]:
            path = file["path"]
            large = self.hub.lfs_from is not None and file["size"] >= self.hub.lfs_from
            known = None
            if path in files:
                known = hashlib.sha256(files[path]).hexdigest() if large else blob_id(files[path])
            mode = "lfs" if large else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": known})
        return Answer.json({"files": answers})

    def _commit(self, found: Repository, ref: str) -> Answer:
        if self.user is None:
            return Answer.error(401, "RepoNotFound", "Repository not found")
        as_request = self.query.get("create_pr") == ["1"]
        if not as_request and not ref.startswith("refs/pr/"):
            self._check_writable(found)
        header: dict[str, Any] = {}
        added: dict[str, bytes] = {}
        deleted: list[str] = []
        for line in self.request.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                header = value
            elif entry["key"] == "file":
                added[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                if value["oid"] not in self.hub.large:
                    return Answer.error(400, "BadRequest", f"{value['path']} was never uploaded")
                added[value["path"]] = self.hub.large[value["oid"]]
            elif entry["key"] in ("deletedFile", "deletedFolder"):
                deleted.append(value["path"])
        if header.get("parentCommit") and header["parentCommit"] != found.refs.get(ref):
            return Answer.error(412, "PreconditionFailed", "A commit has happened since. Please refresh and try again.")
        page = self._page(found.kind, found.id)
        request_url = None
        if as_request:
            number = len(found.pull_requests) + 1
            found.pull_requests.append(PullRequest(number, header["summary"], self.user.name))
            ref, request_url = f"refs/pr/{number}", f"{page}/discussions/{number}"
        commit = found.commit(ref, added, tuple(deleted), header.get("summary", ""))
        url = f"{page}/commit/{commit}"
        done = {"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""}
        return Answer.json({**done, "pullRequestUrl": request_url})

    def _branch(self, found: Repository, name: str) -> Answer:
        self._check_writable(found)
        if name in found.refs:
            return Answer.error(409, "Conflict", f"Reference already exists: {name}")
        found.refs[name] = found.refs["main"]
        return Answer.json({})

    def _settings(self, found: Repository, _: str) -> Answer:
        self._check_writable(found)
        asked = self._json()
        if "visibility" in asked or "private" in asked:
            found.private = asked.get("visibility") == "private" or bool(asked.get("private"))
        return Answer.json({"private": found.private})

    def _discussions(self, found: Repository, rest: str) -> Answer:
        if not rest:
            listed = [self._discussion(found, one) for one in found.pull_requests]
            return Answer.json({"discussions": listed, "count": len(listed), "start": 0})
        match = re.fullmatch(r"(\d+)/merge", rest)
        if match is None or not 1 <= int(match[1]) <= len(found.pull_requests):
            return Answer.error(404, "NotFound", rest)
        self._check_writable(found)
        one = found.pull_requests[int(match[1]) - 1]
        found.commit("main", found.files(f"refs/pr/{one.number}"))
        one.status = "merged"
        return Answer.json({})

    def _discussion(self, found: Repository, one: PullRequest) -> dict[str, Any]:
        return {
            "num": one.number,
            "title": one.title,
            "author": {"name": one.author},
            "status": one.status,
            "isPullRequest": True,
            "createdAt": NOW,
            "repo": {"name": found.id, "type": found.kind[:-1]},
            "events": [],
            "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [],
            "diffUrl": None,
        }

    def _leaderboard(self, found: Repository, _: str) -> Answer:
        rows = []
        for repository in self.hub.repositories.values():
            if repository.kind != "models":
                continue
            places: list[tuple[str, int | None]] = [("main", None)]
            open_ones = [one.number for one in repository.pull_requests if one.status == "open"]
            places += [(f"refs/pr/{number}", number) for number in open_ones]
            for ref, number in places:
                for entry in _eval_results(repository.files(ref), number):
                    if entry["data"]["dataset"]["id"] == found.id:
                        rows.append(_leaderboard_row(repository, entry))
        rows.sort(key=lambda row: -row["value"])
        return Answer.json([{"rank": rank, **row} for rank, row in enumerate(rows, 1)])

    def _resolve(self, kind: str, name: str, revision: str, file: str) -> Answer:
        found = self._visible(kind, name)
        commit = found.find(revision)
        data = found.commits[commit].get(file)
        if data is None:
            return Answer.error(404, "EntryNotFound", "Entry not found")
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{blob_id(data)}"',
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        status, asked = 200, re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if asked and self.request.method == "GET":
            first = int(asked[1]) if asked[1] else max(0, len(data) - int(asked[2]))
            last = min(int(asked[2]), len(data) - 1) if asked[1] and asked[2] else len(data) - 1
            if first >= len(data):
                return Answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first : last + 1], 206
        if self.request.method == "HEAD":
            headers["Content-Length"] = str(len(data))
        return Answer(status, data, headers)


def _file_entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "oid": blob_id(data), "size": len(data), "path": path}


def _folder_entry(path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}


def _front_matter(files: Mapping[str, bytes]) -> Any:
    match = re.match(r"---\s*\n(.*?)\n---", files.get("README.md", b"").decode("utf-8", "replace"), re.DOTALL)
    return json.loads(json.dumps(yaml.safe_load(match[1]), default=str)) if match else None


def _eval_results(files: Mapping[str, bytes], pull_request: int | None = None) -> list[dict[str, Any]]:
    extra = {"pullRequest": pull_request} if pull_request else {}
    return [
        {"filename": path, "data": entry, "verified": False, **extra}
        for path, data in files.items()
        if _EVAL_RESULTS.fullmatch(path)
        for entry in yaml.safe_load(data)
    ]


def _leaderboard_row(repository: Repository, entry: Mapping[str, Any]) -> dict[str, Any]:
    owner = {"_id": "0", "name": repository.owner, "type": "user", "fullname": repository.owner, "avatarUrl": ""}
    data = entry["data"]
    return {
        "modelId": repository.id,
        "value": data["value"],
        "filename": entry["filename"],
        "verified": False,
        "source": data.get("source"),
        "author": owner,
        "notes": data.get("notes"),
        **({"pullRequest": entry["pullRequest"]} if "pullRequest" in entry else {}),
    }


if __name__ == "__main__":
    with HubServer(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        print(server.url, flush=True)
        threading.Event().wait()
