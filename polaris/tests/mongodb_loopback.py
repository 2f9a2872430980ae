"""A server on loopback that speaks MongoDB's wire protocol, and keeps no document.

It says of itself what a test wants, acknowledges every write, finds no document, knows which
collections have been made, and notes each command: so the real driver and the real back end can be
watched without a MongoDB. What a server makes of a query it cannot show.
"""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

with suppress(ImportError):  # it comes with the back end, which not everybody has
    import bson

_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_WIRE = {(4, 4): 9, (5, 0): 13, (6, 0): 17, (7, 0): 21, (8, 0): 25}
_CHECKSUM = 1

Document = dict[str, Any]
Answer = Callable[[Document], Document | None]


def conflict(code: int = 112, name: str = "WriteConflict") -> Document:
    """What a server says to who comes second at a document in a transaction."""
    return {
        "ok": 0.0,
        "errmsg": f"Caused by :: {name} :: Please retry your operation or multi-document "
        "transaction.",
        "code": code,
        "codeName": name,
        "errorLabels": ["TransientTransactionError"],
    }


class Server(socketserver.ThreadingTCPServer):
    """`answers` come before its own, by the command's name: None leaves the answer to it."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, version: tuple[int, int], replica_set: str, answers: dict[str, Answer]):
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.version, self.replica_set, self.answers = version, replica_set, answers
        self.commands: list[Document] = []
        self.collections: set[tuple[str, str]] = set()  # each with its database's name first
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"mongodb://{self.address}/?serverSelectionTimeoutMS=2000"

    def sent(self, *names: str) -> list[Document]:
        """The commands of these names, in the order in which they came."""
        with self.lock:
            return [command for command in self.commands if next(iter(command)) in names]

    def answer(self, command: Document) -> Document:
        name = next(iter(command))
        with self.lock:
            self.commands.append(command)
        told = self.answers[name](command) if name in self.answers else None
        return told or {"ok": 1.0} | self._own(name, command)

    def _own(self, name: str, command: Document) -> Document:
        match name.lower():
            case "hello" | "ismaster":
                return self._hello()
            case "buildinfo":
                return {"version": "{}.{}.0".format(*self.version), "versionArray": self._array()}
            case "aggregate" | "find" | "listindexes":
                return _found(command, [])
            case "listcollections":
                return _found(command, self._listed(command))
            case "create" | "createindexes" | "insert" | "drop":
                return self._make_or_drop(name, command)
        return {"n": 1, "nModified": 1}  # a write; of what it counts the others read nothing

    def _listed(self, command: Document) -> list[Document]:
        wanted = command.get("filter", {}).get("name")
        with self.lock:
            names = sorted(name for home, name in self.collections if home == command["$db"])
        return [{"name": name, "type": "collection"} for name in names if wanted in (None, name)]

    def _make_or_drop(self, name: str, command: Document) -> Document:
        """An index or a document makes the collection that it is for, as on a real server."""
        collection = (command["$db"], command[name])
        with self.lock:
            if name == "drop":
                self.collections.discard(collection)
            elif name == "create" and collection in self.collections:
                return {"ok": 0.0, "code": 48, "errmsg": "It is there already."}
            else:
                self.collections.add(collection)
        return {"n": 1}

    def _hello(self) -> Document:
        in_a_set = {
            "setName": self.replica_set,
            "hosts": [self.address],
            "me": self.address,
            "primary": self.address,
            "setVersion": 1,
        }
        return {
            "helloOk": True,
            "isWritablePrimary": True,
            "ismaster": True,
            "maxBsonObjectSize": 16 * 1024 * 1024,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": _WIRE[self.version],
        } | (in_a_set if self.replica_set else {})

    def _array(self) -> list[int]:
        return [*self.version, 0, 0]


def _found(command: Document, documents: list[Document]) -> Document:
    space = f"{command['$db']}.{next(iter(command.values()))}"
    return {"cursor": {"id": 0, "ns": space, "firstBatch": documents}}


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self.rfile.read(16):
            length, request, _, kind = struct.unpack("<iiii", head)
            body = self.rfile.read(length - 16)
            command = _of_query(body) if kind == _OP_QUERY else _of_message(body)
            answer = bson.encode(self.server.answer(command))  # type: ignore[attr-defined]
            if kind == _OP_QUERY:
                self._send(request, _OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + answer)
            else:
                self._send(request, _OP_MSG, struct.pack("<ib", 0, 0) + answer)

    def _send(self, request: int, kind: int, body: bytes) -> None:
        self.wfile.write(struct.pack("<iiii", 16 + len(body), 0, request, kind) + body)


def _of_query(body: bytes) -> Document:
    """The handshake, in the words of old: flags, a name, two numbers, and the command."""
    begin = body.index(b"\0", 4) + 1 + 8
    return bson.decode(body[begin:])


def _of_message(body: bytes) -> Document:
    """The command, with the documents that the driver sends beside it."""
    (flags,) = struct.unpack_from("<I", body)
    at, end = 4, len(body) - (4 if flags & _CHECKSUM else 0)
    command: Document = {}
    while at < end:
        (size,) = struct.unpack_from("<i", body, at + 1)
        section = body[at + 1 : at + 1 + size]
        if body[at] == 0:
            command |= bson.decode(section)
        else:
            name, _, documents = section[4:].partition(b"\0")
            command[name.decode()] = bson.decode_all(documents)
        at += 1 + size
    return command


@contextmanager
def loopback(
    version: tuple[int, int] = (6, 0), replica_set: str = "rs0", **answers: Answer
) -> Iterator[Server]:
    """Such a server, for as long as the block lasts."""
    with Server(version, replica_set, answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
