"""The reference: as little as moves the bytes and computes their CRC-64. Not a client.

Two processes, one connection each; an aligned buffer, recv_into, CRC, pwrite (or the way back).
No listing, retries, signatures or journal; large objects travel in ranges or parts.

usage: bare_loop.py down|up http://127.0.0.1:PORT BUCKET FOLDER COUNT
The objects are those of racing.races: COUNT of them, all of the first one's size.
"""

import mmap
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fastcrc import crc64

PROCESSES = 2  # the server needs the cores too
PART = 16 << 20
BUFFER = 1 << 20
HEAD = 16 << 10  # a reply's head is never longer

Piece = tuple[str, int, int]  # target of the request, start and length in the file


class Connection:
    """One keep-alive connection and one page-aligned buffer, which large copies need to be fast."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = mmap.mmap(-1, BUFFER + HEAD)
        self.view = memoryview(self.buffer)

    def ask(self, head: str) -> None:
        """Sends a head without more header lines than these."""
        self.socket.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def reply(self) -> tuple[bytes, int, int]:
        """A reply's head, and start and stop of the piece of its body already in the buffer.

        Raises:
            OSError: the server hung up, or refused.
        """
        stop = 0
        while True:
            got = self.socket.recv_into(self.view[stop:HEAD])
            stop += got
            end = self.buffer.find(b"\r\n\r\n", 0, stop)
            if end >= 0:
                break
            if not got:
                raise OSError("the server hung up")
        head = self.buffer[:end]
        if head[9:10] != b"2":
            raise OSError(head.decode())
        return head, end + 4, stop

    def text(self) -> str:
        """The whole body of a short reply, with the head before it."""
        head, start, stop = self.reply()
        while stop - start < length_of(head):
            stop += self.socket.recv_into(self.view[stop:])
        return (head + self.buffer[start:stop]).decode()


def length_of(head: bytes) -> int:
    """What Content-Length says."""
    line = head.split(b"Content-Length: ")[1]
    return int(line.split(b"\r\n")[0])


def receive(connection: Connection, descriptor: int, offset: int) -> int:
    """Writes a reply's body to a file at ``offset``; returns its CRC-64."""
    head, start, stop = connection.reply()
    left = length_of(head)
    crc = 0
    while True:
        while stop - start < left and stop < len(connection.buffer):
            got = connection.socket.recv_into(connection.view[stop : start + left])
            if not got:
                raise OSError("the server hung up")
            stop += got
        piece = connection.view[start:stop]
        crc = crc64.xz(piece, crc)
        os.pwrite(descriptor, piece, offset)
        offset += len(piece)
        left -= len(piece)
        if not left:
            return crc
        start = stop = 0


def send(connection: Connection, descriptor: int, offset: int, length: int) -> int:
    """Sends ``length`` bytes of a file from ``offset``; returns their CRC-64."""
    crc = 0
    stop = offset + length
    while offset < stop:
        got = os.preadv(descriptor, [connection.view[: min(BUFFER, stop - offset)]], offset)
        piece = connection.view[:got]
        crc = crc64.xz(piece, crc)
        connection.socket.sendall(piece)
        offset += got
    return crc


Move = Callable[[Connection, Path, str, int, int], None]


def down(connection: Connection, path: Path, target: str, start: int, length: int) -> None:
    """Downloads one range."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    connection.ask(f"GET {target} HTTP/1.1\r\nRange: bytes={start}-{start + length - 1}")
    receive(connection, descriptor, start)
    os.close(descriptor)


def up(connection: Connection, path: Path, target: str, start: int, length: int) -> None:
    """Uploads one range, as the body of one PUT."""
    descriptor = os.open(path, os.O_RDONLY)
    connection.ask(f"PUT {target} HTTP/1.1\r\nContent-Length: {length}")
    crc = send(connection, descriptor, start, length)
    os.close(descriptor)
    if f"x-oss-hash-crc64ecma: {crc}\r\n" not in connection.text() + "\r\n":
        raise OSError("the server received something else")


def keys(count: int) -> Iterator[str]:
    """As racing.races names them."""
    if count == 1:
        yield "object"
        return
    for index in range(count):
        yield f"d{index // 1000:03}/f{index:06}"


def local(target: str) -> Path:
    """The file of an object."""
    return FOLDER / target.split("?", maxsplit=1)[0].split("/", 2)[2]


def share(work: list[Piece], number: int, do: Move) -> None:
    """One process: every second piece, its own connection."""
    connection = Connection(PORT)
    for target, start, length in work[number::PROCESSES]:
        do(connection, local(target), target, start, length)


def size_of(first: Path, target: str) -> int:
    """Bytes of every object: all are as large as the first."""
    if DIRECTION == "up":
        return first.stat().st_size
    connection = Connection(PORT)
    connection.ask(f"HEAD {target} HTTP/1.1")
    return length_of(connection.reply()[0])


def main(count: int) -> None:
    """Cuts the work into pieces and shares it out."""
    targets = [f"/{BUCKET}/{name}" for name in keys(count)]
    size = size_of(local(targets[0]), targets[0])
    connection = Connection(PORT)
    uploads = begun(connection, targets) if DIRECTION == "up" and size > PART else {}
    work = []
    for target in targets:
        local(target).parent.mkdir(parents=True, exist_ok=True)
        for number, start in enumerate(range(0, size, PART), 1):
            query = f"?partNumber={number}&uploadId={uploads[target]}" if target in uploads else ""
            work.append((target + query, start, min(PART, size - start)))
    share_out(work, up if DIRECTION == "up" else down)
    for target, upload in uploads.items():
        connection.ask(f"POST {target}?uploadId={upload} HTTP/1.1\r\nContent-Length: 0")
        connection.text()


def begun(connection: Connection, targets: list[str]) -> dict[str, str]:
    """Begins a multipart upload of each; returns their ids."""
    uploads = {}
    for target in targets:
        connection.ask(f"POST {target}?uploads HTTP/1.1\r\nContent-Length: 0")
        uploads[target] = connection.text().split("<UploadId>")[1].split("</")[0]
    return uploads


def share_out(work: list[Piece], do: Move) -> None:
    """Every process its share, this one the first."""
    children = []
    for number in range(1, PROCESSES):
        child = os.fork()
        if not child:
            share(work, number, do)
            os._exit(0)
        children.append(child)
    share(work, 0, do)
    for child in children:
        if os.waitpid(child, 0)[1]:
            raise OSError("a process failed")


if __name__ == "__main__":
    DIRECTION, ADDRESS, BUCKET = sys.argv[1:4]
    PORT, FOLDER = int(ADDRESS.rsplit(":", 1)[1]), Path(sys.argv[4])
    main(int(sys.argv[5]))
