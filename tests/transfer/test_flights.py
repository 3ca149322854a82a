"""What becomes of a small object does not depend on whether somebody waited for the reply.

Each story is told twice: to a worker that waits, and to one whose request was sent beforehand.
"""

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest

from osssync.checksums import crc64
from osssync.config import CredentialSettings, OssSettings
from osssync.engines.fibers import Fibers
from osssync.errors import CredentialsError
from osssync.fibers import AVAILABLE
from osssync.local.files import DestinationRoot
from osssync.model import Entry, EntryKind, Step, Task
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.transfer.download import Download
from osssync.transfer.upload import PROMPT_BYTES, Upload
from osssync.transfer.worker import Worker
from tests.oss.stub_server import CLOSE, STALL, Answer, crc_header, error_xml

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not AVAILABLE, reason="fibers need epoll"),
]

BODY = b"what is small " * 100
OTHER = b"what is other " * 100
OLD_NS = 1_700_000_000_123_456_789


@pytest.fixture
def patience_s(request):
    """How long an answer may take: long, as machines stand still at times, where one will come."""
    return 0.5 if "no answer in time" in request.node.name else 10


@pytest.fixture
def connection(emulator, server, patience_s):
    """Credentials that can be had anew, and a service that is scripted."""
    credentials = CredentialSettings(
        role_name=emulator.settings.role, metadata_proxy=emulator.metadata_proxy
    )
    oss = OssSettings(
        endpoint=server.url, region="cn-test", path_style=True, read_timeout_s=patience_s
    )
    with Connection(credentials, oss, 8, lambda _message: None) as opened:
        yield opened


class Watched(Worker):
    """A worker that waits for nothing between repeats, and counts what was sent beforehand."""

    flights = taken = 0

    def _wait(self, _seconds):
        return False

    def ask(self, tasks, lines):
        flights = super().ask(tasks, lines)
        self.flights += sum(flight is not None for flight in flights)
        return flights

    def take(self, flights):
        outcomes = super().take(flights)
        self.taken += sum(outcome is not None for outcome in outcomes)
        return outcomes


def waiting(worker, tasks):
    """All outcomes, one after the other."""
    return [worker.run(task) for task in tasks]


def flying(worker, tasks):
    """The same, each but the first sent as soon as the one before is done."""
    done = []

    def deliver(outcomes):
        done.extend(outcomes)
        if len(done) == len(tasks):
            fibers.end()
        return 0.05

    fibers = Fibers(worker, 1, deliver)
    fibers.submit(tasks)
    fibers.run()
    fibers.loop.close()
    return done


def flying_together(worker, tasks):
    """The same, all sent in one step, over connections that other requests left."""
    done = []
    before = tasks_of(*(f"before{number}" for number in range(len(tasks))))

    def deliver(outcomes):
        done.extend(outcomes)
        if outcomes and len(done) == len(before):
            fibers.submit(tasks)
        elif len(done) == len(before) + len(tasks):
            fibers.end()
        return 0.05

    fibers = Fibers(worker, len(tasks), deliver)
    fibers.submit(before)
    fibers.run()
    fibers.loop.close()
    return sorted(done[len(before) :], key=lambda outcome: outcome.task.object_number)


def script(server, usual, *answers):
    """Have the second object answered so, before it is as usual; all others at once."""
    left = list(answers)

    def reply(seen):
        return left.pop(0) if left and seen.target.endswith("second") else usual

    server.reply = reply


def story(outcome):
    """What is to be told of it."""
    failure = outcome.failure and (outcome.failure.error, outcome.failure.code)
    told = (failure, outcome.retries, outcome.note, outcome.moved_bytes)
    return (*told, outcome.restart is not None)


def good(body=BODY, **more):
    return Answer(body=body, headers=crc_header(body), **more)


def oss_error(status, code, **headers):
    return Answer(status, {"Content-Type": "application/xml", **headers}, error_xml(code))


def with_headers(answer, **changed):
    names = {name.replace("_", "-"): value for name, value in changed.items()}
    kept = {name: value for name, value in answer.headers.items() if name not in names}
    fresh = {name: value for name, value in names.items() if value is not None}
    return Answer(answer.status, kept | fresh, answer.body, answer.hang_up, answer.length)


AMISS = {
    "closed before an answer": [CLOSE],
    "no answer in time": [STALL],
    "no such key": [oss_error(404, "NoSuchKey")],
    "another version": [oss_error(412, "PreconditionFailed")],
    "throttled": [oss_error(503, "SlowDown")],
    "throttled twice": [oss_error(503, "SlowDown"), oss_error(503, "SlowDown")],
    "broken inside": [oss_error(500, "InternalError")],
    "token expired": [oss_error(403, "SecurityTokenExpired")],
    "denied": [oss_error(403, "AccessDenied")],
    "an error without a document": [Answer(502)],
    "two framings": [Answer(headers={"Transfer-Encoding": "chunked"}, body=b"0\r\n\r\n")],
}

DOWNLOADS = AMISS | {
    "as it should be": [],
    "the last of its connection": [with_headers(good(), Connection="close")],
    "closed behind it": [good(hang_up=True)],
    "cut short": [Answer(200, crc_header(BODY), BODY[:300], hang_up=True, length=len(BODY))],
    "another length": [good(BODY + b"!")],
    "another CRC": [Answer(200, crc_header(OTHER), BODY)],
    "no CRC": [with_headers(good(), x_oss_hash_crc64ecma=None)],
    "a CRC that is none": [with_headers(good(), x_oss_hash_crc64ecma="12z")],
    "another ETag": [with_headers(good(), ETag='"E2"')],
    "no ETag": [with_headers(good(), ETag=None)],
    "more than announced": [Answer(200, crc_header(BODY), BODY + BODY, length=len(BODY))],
    "a part": [Answer(206, crc_header(BODY), BODY)],
}

STORED = {"ETag": '"E1"', "x-oss-hash-crc64ecma": str(crc64(BODY))}

UPLOADS = AMISS | {
    "as it should be": [],
    "closed behind it": [Answer(200, STORED, hang_up=True)],
    "another CRC": [Answer(200, STORED | {"x-oss-hash-crc64ecma": "12"})],
    "no CRC": [Answer(200, {"ETag": '"E1"'})],
    "no ETag": [Answer(200, {"x-oss-hash-crc64ecma": str(crc64(BODY))})],
    "with a document": [Answer(200, STORED, b"<ok/>")],
    "cut short": [Answer(200, STORED, b"<ok", hang_up=True, length=9)],
}


def tasks_of(*keys):
    entries = [Entry(key, len(BODY), OLD_NS, etag='"E1"') for key in keys]
    return [Task(number, Step.WHOLE, entry, entry.key) for number, entry in enumerate(entries)]


@pytest.fixture
def download(connection, tmp_path):
    """A worker that downloads, and where to."""

    @contextlib.contextmanager
    def opened(name):
        with DestinationRoot(tmp_path / name) as root:
            steps = Download(connection.bucket("bucket"), "t/", root)
            yield Watched(steps, lambda entry: entry, connection, 3), tmp_path / name

    return opened


@pytest.fixture
def upload(connection, tmp_path):
    """A worker that uploads, and where from."""
    for name in ("first", "second"):
        path = tmp_path / name
        path.write_bytes(BODY)
        os.utime(path, ns=(OLD_NS, OLD_NS))
    steps = Upload(str(tmp_path), connection.bucket("bucket"), "t/")
    return Watched(steps, lambda entry: entry, connection, 3)


@pytest.mark.parametrize("answers", DOWNLOADS.values(), ids=DOWNLOADS)
def test_downloads_end_alike(server, download, answers):
    """Outcome, files, requests, connections: what came while nobody waited says the same."""
    stories, files, counts = [], [], []
    for do in (waiting, flying):
        server.answers(good(), *answers, good())
        with download(do.__name__) as (worker, folder):
            outcomes = do(worker, tasks_of("first", "second", "third"))
            files.append({one.name: one.read_bytes() for one in folder.iterdir()})
        stories.append([story(outcome) for outcome in outcomes])
        counts.append((len(server.requests), server.connections))

    assert stories[0] == stories[1]
    assert files[0] == files[1]
    assert tuple(2 * count for count in counts[0]) == counts[1]
    assert worker.flights >= 1


@pytest.mark.parametrize("answers", UPLOADS.values(), ids=UPLOADS)
def test_uploads_end_alike(server, upload, answers):
    """Outcome, attempts and what arrived."""
    stories, bodies = [], []
    for do in (waiting, flying):
        server.requests.clear()
        server.answers(Answer(200, STORED), *answers, Answer(200, STORED))
        stories.append([story(outcome) for outcome in do(upload, tasks_of("first", "second"))])
        bodies.append([seen.body for seen in server.requests])

    assert stories[0] == stories[1]
    assert bodies[0] == bodies[1]
    assert 1 == upload.flights


@pytest.mark.parametrize("answers", DOWNLOADS.values(), ids=DOWNLOADS)
def test_one_of_several_downloads_spoils_no_other(server, download, answers):
    """Each of those that were asked for in one step ends as it would have alone."""
    stories, files = [], []
    for do in (waiting, flying_together):
        script(server, good(), *answers)
        with download(do.__name__) as (worker, folder):
            outcomes = do(worker, tasks_of("first", "second", "third"))
            files.append({one.name: one.read_bytes() for one in folder.iterdir()})
        stories.append([story(outcome) for outcome in outcomes])

    assert stories[0] == stories[1]
    assert files[0].items() <= files[1].items()
    assert {"first", "third"} <= files[0].keys()
    assert worker.flights >= 3
    assert worker.taken >= 2


@pytest.mark.parametrize("answers", UPLOADS.values(), ids=UPLOADS)
def test_one_of_several_uploads_spoils_no_other(server, upload, tmp_path, answers):
    """Likewise."""
    for name in ("third", "before0", "before1", "before2"):
        (tmp_path / name).write_bytes(BODY)
        os.utime(tmp_path / name, ns=(OLD_NS, OLD_NS))
    stories = []
    for do in (waiting, flying_together):
        script(server, Answer(200, STORED), *answers)
        outcomes = do(upload, tasks_of("first", "second", "third"))
        stories.append([story(outcome) for outcome in outcomes])

    assert stories[0] == stories[1]
    assert 3 == upload.flights
    assert upload.taken >= 2


@pytest.mark.parametrize("key", ["..", "d//f", "\udc80", "x" * 300])
def test_a_hostile_key_among_several_spoils_no_other(server, download, key):
    """Whether no request can name it, or no file."""
    server.answers(good())
    with download("out") as (worker, folder):
        outcomes = flying_together(worker, tasks_of("first", key, "third"))

        assert {"first", "third"} <= {one.name for one in folder.iterdir()}
    failures = [outcome.failure and outcome.failure.error for outcome in outcomes]
    assert [None, "UnsafeKeyError", None] == failures
    assert 2 == worker.taken


def test_a_reply_that_nobody_awaits_is_read_by_nobody(server, download, monkeypatch):
    """A request whose sending was given up leaves a connection that is used no more."""

    def reply(seen):
        time.sleep(0.05)  # the connection looks idle meanwhile
        return good(seen.target.encode().ljust(len(BODY)))

    def sent_and_forgotten(lines, wanted, send=Bucket.ask_get):
        send(worker._steps.bucket, lines, wanted)
        raise RuntimeError("a bug")

    server.reply = reply
    with download("out") as (worker, folder):
        monkeypatch.setattr(Bucket, "ask_get", lambda _self, *asked: sent_and_forgotten(*asked))
        outcomes = flying_together(worker, tasks_of("first", "second", "third"))

        assert [None] * 3 == [outcome.failure for outcome in outcomes]
        assert 6 == server.connections
        for name in ("first", "second", "third"):
            assert f"/bucket/t%2F{name}" == (folder / name).read_text().strip()


def test_a_file_edited_under_its_request_is_begun_again(server, upload, tmp_path):
    """The reply is as it should be, and the file is not what was sent any more."""
    stories = []
    for do in (waiting, flying):
        left = [lambda: None, lambda: os.truncate(tmp_path / "second", 3)]

        def reply(_seen, left=left):
            left.pop(0)()
            return Answer(200, STORED)

        server.reply = reply
        stories.append([story(outcome) for outcome in do(upload, tasks_of("first", "second"))])
        (tmp_path / "second").write_bytes(BODY)
        os.utime(tmp_path / "second", ns=(OLD_NS, OLD_NS))

    assert stories[0] == stories[1]
    assert (1, 0) == (upload.flights, upload.taken)
    assert ("SourceChangedError", "") == stories[1][1][0]


def test_a_full_disk_is_told_once(server, download, monkeypatch):
    """What fails behind a good reply fails as if it had been waited for."""
    stories = []
    for do in (waiting, flying):
        server.answers(good())
        with download(do.__name__) as (worker, folder):
            (folder / "second").mkdir()
            stories.append([story(outcome) for outcome in do(worker, tasks_of("first", "second"))])

    assert stories[0] == stories[1]
    assert "UnsafeKeyError" == stories[1][1][0][0]


def test_a_good_reply_needs_no_fiber(server, download, upload):
    """Only what is amiss is looked at again."""
    server.answers(good())
    with download("out") as (worker, _):
        flying(worker, tasks_of("a", "b", "c"))
    server.answers(Answer(200, STORED))
    flying(upload, tasks_of("first", "second"))

    assert (2, 1) == (worker.taken, upload.taken)


def test_what_nobody_asked_for_is_no_reply(server, download):
    """A server that says more while a connection is idle does not have it taken for the next."""
    server.answers(good())
    first, second, third = tasks_of("a", "b", "c")
    done = []

    def deliver(outcomes):
        done.extend(outcomes)
        if outcomes and len(done) == 2:
            (connection,) = server._sockets
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.02)
            fibers.submit([third])
        elif len(done) == 3:
            fibers.end()
        return 0.05

    with download("out") as (worker, folder):
        fibers = Fibers(worker, 1, deliver)
        fibers.submit([first, second])
        fibers.run()
        fibers.loop.close()

        assert [None] * 3 == [outcome.failure for outcome in done]
        assert [BODY] * 3 == [one.read_bytes() for one in folder.iterdir()]
    assert (1, 2) == (worker.flights, server.connections)


@pytest.mark.parametrize("patience_s", [0.5])
def test_no_file_stays_open(server, upload, tmp_path):
    """Whatever the answer to it was."""
    for answers in UPLOADS.values():
        server.answers(Answer(200, STORED), *answers, Answer(200, STORED))
        flying(upload, tasks_of("first", "second"))

    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [] == [link for link in links if str(link.readlink()).startswith(str(tmp_path))]


def test_no_file_stays_open_where_nothing_can_be_signed(upload, connection, tmp_path, monkeypatch):
    """Credentials that cannot be had are the business of the attempt that waits for them."""

    def refuse():
        raise CredentialsError("the metadata service is gone")

    class IdleLine:
        left = 0

        def leave(self):
            self.left += 1

    line = IdleLine()
    monkeypatch.setattr(connection.provider, "get_credentials", refuse)

    assert [None, None] == upload.ask(tasks_of("first", "second"), [line, line])

    assert 0 == connection.pace._in_flight
    assert 2 == line.left
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [] == [link for link in links if str(link.readlink()).startswith(str(tmp_path))]


@pytest.mark.parametrize("patience_s", [0.5])
def test_a_request_in_the_air_has_its_place_among_those_in_flight(server, download, connection):
    """Where none is free the task is not sent beforehand; afterwards all places are free again."""
    server.answers(good())
    with download("out") as (worker, _):
        (first,) = flying(worker, tasks_of("first"))
        connection.pace.widen(1)
        with connection.pace.slot():
            assert [None] == worker.ask(tasks_of("second"), [None])
        for answers in DOWNLOADS.values():
            server.answers(good(), *answers, good())
            flying(worker, tasks_of("first", "second"))

    assert first.failure is None
    assert 0 == connection.pace._in_flight


def test_a_task_that_is_throttled_in_the_air_lowers_the_pace(server, download, connection):
    """As one that was waited for."""
    server.answers(good(), oss_error(503, "SlowDown"), good())
    with download("out") as (worker, _):
        outcomes = flying(worker, tasks_of("first", "second"))

    assert [0, 1] == [outcome.retries for outcome in outcomes]
    assert (1, 4) == (connection.pace.throttled, connection.pace.lowest)


@pytest.mark.parametrize(
    "task",
    [
        Task(1, Step.FINISH, Entry("k", 1, 0), "k"),
        Task(1, Step.WHOLE, Entry("d/", 0, 0, EntryKind.DIRECTORY), "d/"),
        Task(1, Step.WHOLE, Entry("k", PROMPT_BYTES + 1, 0), "k"),
        Task(1, Step.WHOLE, Entry("gone", 1, 0), "gone"),
    ],
    ids=["another step", "a directory", "more than a socket takes", "no such file"],
)
def test_what_may_have_to_wait_is_not_sent_beforehand(upload, connection, task):
    """The line is not touched, and no place is kept."""
    assert [None] == upload.ask([task], [None])
    assert 0 == connection.pace._in_flight


def test_a_stopped_worker_sends_nothing(download):
    """Not even what would not have to wait."""
    with download("out") as (worker, _):
        worker.stop()
        assert [None] == worker.ask(tasks_of("k"), [None])
