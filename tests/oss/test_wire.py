"""HTTP/1.1 as bytes: what is accepted, and what breaks the connection."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.oss.wire import (
    BrokenReplyError,
    Headers,
    IllegalHeaderError,
    parse_chunk_size,
    parse_head,
    request_head,
)

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~09AZaz"


def parsed(*lines, is_head_request=False, status_line="HTTP/1.1 200 OK"):
    """The head made of a status line and header lines."""
    octets = "\r\n".join([status_line, *lines]).encode("latin-1")
    return parse_head(octets, is_head_request=is_head_request)


def test_a_head_is_status_headers_and_framing():
    """The usual case: a length, a connection that stays open, white space around values gone."""
    head = parsed("Content-Length: 12", 'ETag:\t"E1" ', "x-oss-request-id:R", "Empty:")

    assert 200 == head.status
    assert {"content-length": "12", "etag": '"E1"', "x-oss-request-id": "R", "empty": ""} == dict(
        head.headers
    )
    assert (12, False, True, False) == (
        head.length, head.chunked, head.keeps_alive, head.lasts_until_close,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 404 Not Found", "HTTP/1.0 503 \x80\xff\t;"],
)
def test_status_lines_that_are_read(line):
    """A reason is free text, and may be missing."""
    assert int(line[9:12]) == parsed(status_line=line).status


@pytest.mark.parametrize(
    "line",
    [
        "", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1 000 x",
        "HTTP/1.1 -20 x", "HTTP/1.1 2x0 x", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "http/1.1 200",
        "HTTP/2 200 OK", "HTTP/2.0 200 OK", "HTTP/1.2 200 OK", " HTTP/1.1 200 OK", "ICY 200 OK",
        "HTTP/1.1 200OK", "HTTP/1.1 \xb2\xb2\xb2 OK", "<html>", "\x16\x03\x01",
    ],
)  # fmt: skip
def test_first_lines_that_are_no_status_line(line):
    """Another protocol, another version, a number that is none."""
    with pytest.raises(BrokenReplyError, match="first line"):
        parsed("Content-Length: 0", status_line=line)


@pytest.mark.parametrize(
    "line",
    [
        "A: 1\nB: 2",  # a bare LF is a line to some readers and not to others
        "A: 1\rB: 2",
        "A: 1\r\n",
        "A: \0",
        "A: 1\n",
        "A: 1\r",
        " folded: obs",
        "\tfolded",
        "no colon",
        "Content-Length",  # a name that is known by then
        "Content-Length : 5",
        ": value",
        "na me: 1",
        "na\x7fme: 1",
        "n\xe4me: 1",
        "(name): 1",
    ],
)
def test_header_lines_that_break_a_rule(line):
    """Whatever two readers could read in two ways ends the connection."""
    parsed("Content-Length: 0")

    with pytest.raises(BrokenReplyError):
        parsed("A: 0", line, "Z: 0")


def test_a_folded_line_is_refused_even_as_the_last():
    """obs-fold, RFC 9112 5.2."""
    with pytest.raises(BrokenReplyError, match="header line"):
        parsed("A: 1", "  more of A")


@given(st.text(TOKEN_CHARACTERS, min_size=1, max_size=30), st.text("az AZ\t:;,=\xff", max_size=30))
def test_every_legal_header_is_found_in_any_case(name, value):
    """Names are case-insensitive; a value comes back as it was, without the space around it."""
    headers = parsed(f"{name}: {value}").headers

    for spelling in (name, name.lower(), name.upper(), name.swapcase()):
        assert spelling in headers
        assert value.strip(" \t") == headers[spelling] == headers.get(spelling)


def test_what_is_not_there_is_a_key_error_or_the_default():
    """As in any mapping."""
    headers = Headers(etag="E")

    assert "crc" not in headers
    assert 5 not in headers
    assert headers.get("CRC") is None
    assert "none" == headers.get("CRC", "none")
    for name in ("crc", "CRC"):
        with pytest.raises(KeyError):
            headers[name]


def test_repeated_headers_are_joined():
    """RFC 9110 5.3, in order, whatever their case."""
    assert "1, 2, 3" == parsed("a: 1", "A: 2", "a:3").headers["a"]


@pytest.mark.parametrize("value", ["0", "5", "005", "9223372036854775807", "5, 5", "5,5, 5"])
def test_lengths_that_are_read(value):
    """A number; the same one repeated is that number (RFC 9112 6.3)."""
    head = parsed(f"Content-Length: {value}")

    assert (int(value.split(",")[0]), False) == (head.length, head.chunked)


@pytest.mark.parametrize(
    "value",
    ["", "-1", "+5", "5 5", "0x5", "5.0", "1e3", "5;", "5,", ",5", "5, 6", "²", "1_0", "9" * 20],
)
def test_lengths_that_are_none(value):
    """Negative, twice and different, or not a number."""
    with pytest.raises(BrokenReplyError, match="Content-Length"):
        parsed(f"Content-Length: {value}")


def test_two_lengths_that_differ_are_refused():
    """On two lines as on one: which one counts is how requests are smuggled."""
    with pytest.raises(BrokenReplyError, match="Content-Length"):
        parsed("Content-Length: 5", "content-length: 6")


@pytest.mark.parametrize(
    "lines",
    [
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding:",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
    ],
)
def test_framing_that_could_be_read_in_two_ways_is_refused(lines):
    """A length and chunks, or a coding that is not ours."""
    with pytest.raises(BrokenReplyError, match="ambiguous"):
        parsed(*lines)


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED"])
def test_chunks_have_no_length(coding):
    """And do not last until the end of the connection."""
    head = parsed(f"Transfer-Encoding: {coding}")

    assert (None, True, False) == (head.length, head.chunked, head.lasts_until_close)


def test_without_any_framing_the_end_of_the_connection_is_the_end():
    """RFC 9112 6.3, the last case."""
    assert parsed("Server: AliyunOSS").lasts_until_close


@pytest.mark.parametrize("framing", ["Content-Length: 7", "Transfer-Encoding: chunked", "Date: x"])
@pytest.mark.parametrize(
    ("status", "is_head_request"),
    [(100, False), (103, False), (204, False), (304, False), (200, True)],
)
def test_replies_that_have_no_body_whatever_they_say(status, is_head_request, framing):
    """Interim ones, 204, 304 and those to HEAD: the next byte is the next reply's."""
    head = parsed(framing, status_line=f"HTTP/1.1 {status} x", is_head_request=is_head_request)

    assert (0, False) == (head.length, head.chunked)


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        (1, "keep-alive", True), (1, "", True), (1, "close", False), (1, "Close", False),
        (1, "x, close", False), (0, "keep-alive", False), (0, "", False),
    ],
)  # fmt: skip
def test_who_keeps_the_connection(version, connection, keeps):
    """HTTP/1.1 does unless it says close; nothing is asked twice of HTTP/1.0."""
    head = parsed(f"Connection: {connection}", status_line=f"HTTP/1.{version} 200 OK")

    assert keeps == head.keeps_alive


def test_only_so_many_heads_are_remembered(monkeypatch):
    """A server that makes names and lines up costs no memory, and is still understood."""
    heads = {}
    monkeypatch.setattr("osssync.oss.wire._HEADS", heads)

    for number in range(1, 200):
        lines = [f"X-{number}-{line}: v" for line in range(number)]
        assert "v" == parsed(*lines).headers[f"x-{number}-{number - 1}"]

    assert 64 == len(heads)
    assert 65 == max(heads)


def test_a_head_like_another_is_read_as_at_first():
    """Of other values, fewer spaces, other names, repeated ones or odd lines each is told."""
    for value in ("1", "2", "", "a: b"):
        assert {"a": value, "b": "2"} == parsed(f"A: {value}", "b:2 ").headers
        assert {"a": "1", "b": value} == parsed("A:1", f"b: {value}\t").headers
        assert {"a": value, "c": "2"} == parsed(f"A: {value}", "c: 2").headers
        assert {"a": "1, 2"} == parsed("A: 1", "a: 2").headers
        assert {"a": "1, 2"} == parsed("A: 1", "A: 2").headers
        assert 404 == parsed("A: 1", "b:2 ", status_line="HTTP/1.1 404 no").status
        for line in ("b", "b 2", "B x: 2", " b: 2", ":"):
            with pytest.raises(BrokenReplyError, match="header line"):
                parsed("A: 1", line)
        with pytest.raises(BrokenReplyError, match="control character"):
            parsed("A: 1", "b: 2\n")


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["A", "a", "B", "Bb", "C"]), st.text("x:, ", max_size=3)),
            max_size=3,
        ),
        max_size=8,
    )
)
def test_heads_do_not_depend_on_those_before(heads):
    """Each is what it is alone."""
    for head in heads:
        expected = {}
        for name, value in head:
            before = expected.get(name.lower())
            stripped = value.strip(" ")
            expected[name.lower()] = stripped if before is None else f"{before}, {stripped}"
        assert expected == parsed(*(f"{name}:{value}" for name, value in head)).headers


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_broken_reply(octets):
    """Nothing a server sends raises anything else."""
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: "):
        try:
            head = parse_head(start + octets, is_head_request=False)
        except BrokenReplyError:
            continue
        assert head.chunked == (head.headers.get("transfer-encoding", "").lower() == "chunked")
        assert head.length is None or head.length >= 0


@pytest.mark.parametrize(
    ("line", "size"),
    [
        (b"0", 0), (b"a", 10), (b"A", 10), (b"00ff", 255), (b"1f ", 31), (b"5;name=value", 5),
        (b"5 ; a", 5), (b"f" * 15, 16**15 - 1),
    ],
)  # fmt: skip
def test_chunk_sizes_that_are_read(line, size):
    """Hexadecimal, with or without extensions."""
    assert size == parse_chunk_size(line)


@pytest.mark.parametrize(
    "line",
    [
        b"", b" 5", b"-5", b"+5", b"0x5", b"5_0", b"g", b"5 5", b";a", b"5\n", b"5;a\nb", b"5,6",
        b"f" * 16, b"\xef\xbc\x95",
    ],
)  # fmt: skip
def test_chunk_sizes_that_are_none(line):
    """What ``int(…, 16)`` would read beside these is how chunks are smuggled."""
    with pytest.raises(BrokenReplyError, match="chunk"):
        parse_chunk_size(line)


def test_a_request_is_its_line_its_host_and_its_headers():
    """Byte by byte, values as text or as bytes, an empty line at the end."""
    head = request_head("PUT", "/k?acl", "b.example", {"x-a": "é", "x-b": b"\xff\t", "x-c": ""})

    assert (
        b"PUT /k?acl HTTP/1.1\r\nHost: b.example\r\nx-a: \xc3\xa9\r\nx-b: \xff\t\r\nx-c: \r\n\r\n"
        == head
    )


ENDINGS = ["\r\nX: 1", "\n", "\r", "\0", "\x7f", "\x0b", "\x1f"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_value_cannot_begin_a_line(ending, as_bytes):
    """A header of a job file cannot add another, or a second request."""
    value = f"v{ending}"

    with pytest.raises(IllegalHeaderError, match="x-a"):
        request_head("GET", "/", "h", {"x-a": value.encode() if as_bytes else value})


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nX", "a\n", "é", " a"])
def test_a_name_is_a_name(name):
    """Nor can its name."""
    with pytest.raises(IllegalHeaderError):
        request_head("GET", "/", "h", {name: "v"})


@pytest.mark.parametrize("part", [*ENDINGS, " ", "é", "\t"])
def test_the_address_cannot_end_its_line(part):
    """Target and host are what was signed, in printable ASCII without spaces."""
    with pytest.raises(IllegalHeaderError, match="the address"):
        request_head("GET", f"/k{part}", "h", {})
    with pytest.raises(IllegalHeaderError, match="the address"):
        request_head("GET", "/k", f"h{part}", {})


def test_a_broken_reply_survives_pickling():
    """Errors travel between processes."""
    error = pickle.loads(pickle.dumps(BrokenReplyError("why")))

    assert ("why", "not a valid HTTP reply: why") == (str(error), error.strerror)
