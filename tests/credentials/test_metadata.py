"""Single facts of the metadata service, and the exchange below them."""

import socket
import threading

import pytest

from osssync.credentials.exchange import GarbledReplyError, Question, Route, ask
from osssync.credentials.metadata import (
    MetadataForbiddenError,
    MetadataGarbledError,
    MetadataNotFoundError,
    MetadataService,
    MetadataUnreachableError,
)
from osssync.errors import CredentialsError, UsageError
from tests.credentials.metadata_stub import ROLE_LIST, TOKEN

REGION = "/latest/meta-data/region-id"


def test_a_fact_comes_without_its_newline_and_the_token_is_kept(stub):
    """One token serves many questions."""
    service = MetadataService(stub.proxy)

    assert [service.get("region-id") for _ in range(3)] == ["cn-hangzhou"] * 3
    assert stub.lines == [f"PUT {TOKEN}"] + [f"GET+ {REGION}"] * 3


def test_a_token_near_its_end_is_replaced(stub, clock):
    """The service grants six hours; we use nine tenths of them."""
    service = MetadataService(stub.proxy, monotonic=clock)
    service.get("region-id")

    clock.advance(0.9 * 21_600)
    service.get("region-id")

    assert stub.lines.count(f"PUT {TOKEN}") == 2


def test_a_forgotten_token_is_replaced_at_once(stub):
    """The instance was migrated: the new host does not know the old host's tokens."""
    service = MetadataService(stub.proxy)
    service.get("region-id")

    stub.tokens.clear()

    assert service.get("region-id") == "cn-hangzhou"
    assert stub.lines[2:] == [f"GET+ {REGION}", f"PUT {TOKEN}", f"GET+ {REGION}"]


def test_without_a_token_service_the_old_mode_is_used(stub):
    """IMDSv1, unless forbidden."""
    stub.token_status = 404

    assert MetadataService(stub.proxy).get("region-id") == "cn-hangzhou"
    assert stub.lines == [f"PUT {TOKEN}", f"GET {REGION}"]


def test_v2_only_does_not_go_on_without_a_token(stub):
    """The hardened mode by choice."""
    stub.token_status = 404

    with pytest.raises(MetadataForbiddenError, match="imds-v2-only"):
        MetadataService(stub.proxy, imds_v2_only=True).get("region-id")
    assert stub.lines == [f"PUT {TOKEN}"]


def test_a_hardened_service_that_gives_no_token_is_explained(stub):
    """The PUT is lost somewhere, and the GET without a token is refused."""
    stub.token_status = 400
    stub.v2_only = True

    with pytest.raises(MetadataForbiddenError, match="security-hardened"):
        MetadataService(stub.proxy).get("region-id")


def test_an_unknown_fact_is_not_found(stub):
    """404 has its own class: callers may do without."""
    with pytest.raises(MetadataNotFoundError, match=r"GET .*/nonsense.* HTTP 404"):
        MetadataService(stub.proxy).get("nonsense")


def test_a_redirect_is_not_followed(stub):
    """It would lead to a machine that is not the metadata service."""
    stub.role, stub.status, stub.body = "AppRole", 302, ""
    stub.redirect = f"{stub.proxy}{REGION}"

    with pytest.raises(MetadataGarbledError, match="HTTP 302"):
        MetadataService(stub.proxy).get("ram/security-credentials/AppRole")
    assert REGION not in " ".join(stub.lines)


@pytest.mark.parametrize("answer", ["<html>", "two words", "a/b", "röle"])
def test_a_role_list_that_names_no_role_is_garbage(stub, answer):
    """A captive portal answers 200 to everything."""
    stub.role = answer

    with pytest.raises(MetadataGarbledError, match="that is not a role name"):
        MetadataService(stub.proxy).role_name()


def test_the_first_of_several_roles_is_ours(stub):
    """One role per instance is the rule; a newline at the end is not."""
    stub.role = "AppRole\nOther\n"

    assert MetadataService(stub.proxy).role_name() == "AppRole"
    assert stub.lines == [f"PUT {TOKEN}", f"GET+ {ROLE_LIST}"]


def test_binary_data_is_no_fact(stub):
    """Facts are text."""
    stub.facts = {"/latest/meta-data/x": b"\xff\xfe"}

    with pytest.raises(MetadataGarbledError, match="binary"):
        MetadataService(stub.proxy).get("x")


def test_a_switched_off_service_is_never_asked(stub, monkeypatch):
    """The documented variable is honoured before the first packet."""
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "True")

    with pytest.raises(CredentialsError, match="switches the metadata service off"):
        MetadataService(stub.proxy).get("region-id")
    assert stub.lines == []


def test_a_refused_connection_is_not_tried_twice(monkeypatch):
    """Where nobody listens for the token, nobody listens for the fact."""
    tried = []

    def refuse(address, *_, **__):
        tried.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)

    with pytest.raises(MetadataUnreachableError, match="Connection refused"):
        MetadataService("127.0.0.1:9").get("region-id")
    assert tried == [("127.0.0.1", 9)]


@pytest.mark.parametrize(
    "proxy",
    ["https://127.0.0.1:1", "http://127.0.0.1", "http://user:pw@127.0.0.1:1", "http://", ":8",
     "127.0.0.1:port", "127.0.0.1:99999"],
)  # fmt: skip
def test_a_proxy_that_cannot_be_one_is_refused_without_quoting_it(proxy):
    """It may hold a password."""
    with pytest.raises(UsageError, match="must be http://HOST:PORT") as caught:
        MetadataService(proxy)
    assert "pw" not in str(caught.value)


def test_a_token_does_not_show_in_repr(stub):
    """Neither in the service nor in a question that carries it."""
    service = MetadataService(stub.proxy)
    service.get("region-id")

    assert service._token.startswith("imds-")
    assert service._token not in repr(service)
    assert service._token not in repr(Question("GET", "http://h/", {"x": service._token}))


def raw_service(answer, *, chunks=1, pause_s=0.0):
    """A server that sends these bytes to the first who asks, in so many chunks, and closes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        with connection, listening:
            connection.recv(65536)
            size = -(-len(answer) // chunks) or 1
            stop = threading.Event()
            try:
                for start in range(0, len(answer), size):
                    connection.sendall(answer[start : start + size])
                    stop.wait(pause_s)
            except OSError:
                return  # the client has gone, as it should

    thread = threading.Thread(target=serve)
    thread.start()
    return f"127.0.0.1:{listening.getsockname()[1]}", thread


@pytest.mark.parametrize(
    "answer",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000,
    ],
)
def test_a_reply_that_is_cut_or_endless_or_no_http_is_garbled(answer):
    """``read1`` alone would take a cut connection for the end of the body."""
    address, thread = raw_service(answer)

    trace = ask(Question("GET", "http://100.100.100.200/"), Route(address))
    thread.join()

    assert trace.reply is None
    assert isinstance(trace.failure, GarbledReplyError)


def test_a_reply_that_drips_is_given_up():
    """Each byte comes in time; the whole does not."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"x" * 40
    address, thread = raw_service(answer, chunks=len(answer), pause_s=0.01)

    trace = ask(Question("GET", "http://100.100.100.200/"), Route(address, timeout_s=0.15))
    thread.join()

    assert isinstance(trace.failure, TimeoutError)


def test_a_reply_without_a_length_ends_with_its_connection():
    """HTTP/1.0 style: what a small sidecar may do."""
    address, thread = raw_service(b"HTTP/1.0 200 OK\r\n\r\nhello")

    trace = ask(Question("GET", "http://100.100.100.200/"), Route(address))
    thread.join()

    assert trace.reply is not None
    assert (trace.reply.status, trace.reply.body) == (200, b"hello")
    assert "hello" not in repr(trace)
