"""Which refusal becomes which error, and what its message never holds."""

import json
import ssl
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import oss2
import pytest
import requests

from osssync import errors
from osssync.oss.translate import translated
from osssync.oss.wire import BrokenReplyError, ClosedEarlyError
from tests.oss.stub_server import ACCESS_KEY_ID, TOKEN, Answer, error_xml


def refused_with(server, bucket, answer):
    """The error that a DELETE gets for this answer."""
    server.answers(answer)
    with pytest.raises(errors.OsssyncError) as caught:
        bucket.delete("dir/key")
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "SecurityTokenExpired", errors.CredentialsRefusedError),
        (403, "InvalidAccessKeyId", errors.CredentialsRefusedError),
        (403, "InvalidSecurityToken", errors.CredentialsRefusedError),
        (403, "AccessKeyIdAndSecurityTokenNotMatch", errors.CredentialsRefusedError),
        (403, "SignatureDoesNotMatch", errors.CredentialsRefusedError),
        (401, "Unheard", errors.CredentialsRefusedError),
        (403, "RequestTimeTooSkewed", errors.ClockSkewedError),
        (403, "AccessDenied", errors.AccessDeniedError),
        (403, "UserDisable", errors.AccessDeniedError),
        (403, "InvalidObjectState", errors.ArchivedObjectError),
        (404, "NoSuchKey", errors.NotFoundError),
        (404, "NoSuchBucket", errors.NotFoundError),
        (404, "SymlinkTargetNotExist", errors.NotFoundError),
        (412, "PreconditionFailed", errors.PreconditionFailedError),
        (409, "FileAlreadyExists", errors.PreconditionFailedError),
        (400, "ObjectAlreadyExists", errors.PreconditionFailedError),
        (503, "DownloadTrafficRateLimitExceeded", errors.ThrottledError),
        (503, "ServiceUnavailable", errors.ThrottledError),
        (429, "Anything", errors.ThrottledError),
        (400, "TotalQpsLimitExceeded", errors.ThrottledError),
        (400, "MetaOperationQpsLimitExceeded", errors.ThrottledError),
        (403, "ActiveRequestLimitExceeded", errors.ThrottledError),
        (500, "InternalError", errors.ServerFaultError),
        (502, "", errors.ServerFaultError),
        (504, "", errors.ServerFaultError),
        (408, "RequestTimeout", errors.ServerFaultError),
        (400, "RequestTimeout", errors.ServerFaultError),
        (400, "IncompleteBody", errors.ServerFaultError),
        (400, "InvalidDigest", errors.IntegrityError),
        (400, "InvalidArgument", errors.OssError),
        (403, "KmsServiceNotEnabled", errors.OssError),
        (409, "BucketNotEmpty", errors.OssError),
        (416, "InvalidRange", errors.OssError),
    ],
)
def test_status_and_code_decide(server, bucket, status, code, kind):
    """One class per thing the caller does next."""
    error = refused_with(server, bucket, Answer(status, body=error_xml(code)))

    assert type(error) is kind
    assert f"delete oss://bucket/dir/key: {status} " in str(error)


def test_the_facts_of_a_refusal_are_kept(server, bucket):
    """Status, code, EC and request id, as attributes and for a support ticket in the message."""
    body = error_xml("InvalidArgument", "Bad value.", EC="0002-00000903")
    error = refused_with(server, bucket, Answer(400, {"x-oss-request-id": "5C3D9175B6"}, body))

    assert (error.status, error.code, error.ec, error.request_id) == (
        400,
        "InvalidArgument",
        "0002-00000903",
        "5C3D9175B6",
    )
    assert str(error) == (
        "delete oss://bucket/dir/key: 400 InvalidArgument: Bad value. "
        "(request id 5C3D9175B6, EC 0002-00000903)"
    )


def test_refused_credentials_name_the_key_that_signed(server, bucket):
    """So that only this set is dropped, not the one that replaced it meanwhile."""
    error = refused_with(server, bucket, Answer(403, body=error_xml("SecurityTokenExpired")))

    assert error.access_key_id == ACCESS_KEY_ID


@pytest.mark.parametrize("ec", ["0002-00000004", "0002-00000007", "0002-00000902"])
def test_the_ec_alone_tells_refused_credentials(server, bucket, ec):
    """HEAD has no body; the header with the EC may be all there is."""
    server.answers(Answer(403, {"x-oss-ec": ec}))

    with pytest.raises(errors.CredentialsRefusedError):
        bucket.head("k")


def test_a_head_refused_without_a_reason_is_denied(server, bucket):
    """403 and nothing else."""
    server.answers(Answer(403))

    with pytest.raises(errors.AccessDeniedError, match="403 Forbidden"):
        bucket.head("k")


def test_skew_tells_the_services_time(server, bucket):
    """From the document, which is exact; not from the Date header."""
    body = error_xml("RequestTimeTooSkewed", ServerTime="2026-01-02T03:04:05.500Z")
    error = refused_with(
        server, bucket, Answer(403, {"Date": "Fri, 02 Jan 2026 03:00:00 GMT"}, body)
    )

    assert error.server_time_s == datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC).timestamp()


@pytest.mark.parametrize("server_time", ["", "soon"])
def test_skew_without_a_time_takes_the_date_header(server, bucket, server_time):
    """Whole seconds will do for a window of 15 minutes."""
    body = error_xml("RequestTimeTooSkewed", ServerTime=server_time)
    error = refused_with(
        server, bucket, Answer(403, {"Date": "Fri, 02 Jan 2026 03:00:00 GMT"}, body)
    )

    assert error.server_time_s == datetime(2026, 1, 2, 3, tzinfo=UTC).timestamp()


def test_skew_without_any_time_is_zero(server, bucket):
    """Unknown is told as unknown."""
    error = refused_with(server, bucket, Answer(403, body=error_xml("RequestTimeTooSkewed")))

    assert error.server_time_s == 0.0


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"<Error><Code>x", b"\xff\xfe\x00"])
def test_throttling_is_seen_by_its_status(server, bucket, body):
    """Under load the body may be a proxy's, or none."""
    error = refused_with(server, bucket, Answer(503, body=body))

    assert type(error) is errors.ThrottledError


def test_a_delay_asked_for_is_shown(server, bucket):
    """x-oss-qos-delay-time, in milliseconds."""
    error = refused_with(server, bucket, Answer(503, {"x-oss-qos-delay-time": "150"}))

    assert "delay 150 ms" in str(error)


def test_a_bucket_elsewhere_names_its_endpoint(server, bucket):
    """AccessDenied that no permission would cure."""
    body = error_xml(
        "AccessDenied",
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
        Endpoint="oss-cn-shanghai.aliyuncs.com",
    )
    error = refused_with(server, bucket, Answer(403, body=body))

    assert "give --endpoint oss-cn-shanghai.aliyuncs.com" in str(error)
    assert "role lacks" not in str(error)


def test_not_modified_is_a_failed_precondition(server, bucket):
    """304 has no body at all."""
    server.answers(Answer(304))

    with pytest.raises(errors.PreconditionFailedError, match="304"):
        bucket.get("k", lambda _: None)


def everything_said(error):
    """Message, repr, arguments and whatever a traceback would print of the chain."""
    said = [str(error), repr(error), json.dumps(error.args)]
    while error := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        said.append(repr(error) + str(error))
    return " ".join(said)


def test_no_secret_of_the_reply_is_repeated(server, bucket):
    """OSS sends token, signature and string to sign back: none leaves this module."""
    string_to_sign = f"GET\n\n\n1\nx-oss-security-token:{TOKEN}\n/bucket/k"
    body = error_xml(
        "SignatureDoesNotMatch",
        f"The token {TOKEN} is bad.",
        SecurityToken=TOKEN,
        SignatureProvided="provided-signature",
        StringToSign=string_to_sign,
    )
    error = refused_with(server, bucket, Answer(403, body=body))

    said = everything_said(error)
    assert TOKEN not in said
    assert "provided-signature" not in said
    assert "The token (removed) is bad." in said


def test_a_long_error_document_keeps_its_code(server, bucket):
    """A refused signature repeats everything that was signed: more than oss2 reads."""
    body = error_xml("SignatureDoesNotMatch", StringToSign="日本" * 5000)
    error = refused_with(server, bucket, Answer(403, body=body))

    assert (type(error), error.code) == (errors.CredentialsRefusedError, "SignatureDoesNotMatch")


def test_a_head_error_that_cannot_be_read_is_repeated(server, bucket):
    """Garbage in x-oss-err."""
    server.answers(Answer(404, {"x-oss-err": "//79"}))

    with pytest.raises(errors.IntegrityError):
        bucket.head("k")


def test_a_message_is_one_short_line(server, bucket):
    """No forged log lines, no terminal escapes, no pages of text."""
    body = error_xml("InvalidArgument", "one\ntwo\x1b[31m".replace("\x1b", "&#155;") + " x" * 999)
    error = refused_with(server, bucket, Answer(400, body=body))

    assert str(error).isprintable()
    assert "one two" in str(error)
    assert len(str(error)) < 500


def test_a_key_is_shown_so_that_it_cannot_move_the_cursor(server, bucket):
    """Keys come from strangers."""
    server.answers(Answer(404, body=error_xml("NoSuchKey")))

    with pytest.raises(errors.NotFoundError) as caught:
        bucket.delete("a\n\x1b[2J")

    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "failure",
    [
        ClosedEarlyError("before it answered"),
        BrokenReplyError("its first line is 'SSH'"),
        ssl.SSLError(1, "bad record"),
        requests.exceptions.ChunkedEncodingError("cut"),
        requests.exceptions.ConnectionError("Read timed out"),
        oss2.exceptions.RequestError(requests.exceptions.ReadTimeout("late")),
        ConnectionResetError(104, "reset"),
        TimeoutError("late"),
        BrokenPipeError(32, "pipe"),
        ssl.SSLEOFError(8, "EOF"),
    ],
)
def test_every_way_a_connection_fails_is_a_network_error(failure):
    """Ours, requests', oss2's and the system's, all retryable, all naming the object."""
    told = pytest.raises(errors.NetworkError, match=r"^get oss://b/k: ")
    with told, translated("get", "b", "k"):
        raise failure


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (oss2.exceptions.ClientError("bad"), errors.UsageError),
        (oss2.exceptions.InconsistentError("crc", "R"), errors.IntegrityError),
        (ET.ParseError("no element found"), errors.IntegrityError),
    ],
)
def test_other_failures_of_the_sdk_are_told_apart(failure, kind):
    """Refused before sending, wrong checksums, broken documents."""
    with pytest.raises(kind) as caught, translated("get", "b", "k"):
        raise failure

    assert type(caught.value) is kind


def test_our_own_errors_pass_through():
    """What a provider or a body raises is told already."""
    ours = errors.CredentialsError("no role")

    with pytest.raises(errors.CredentialsError) as caught, translated("get", "b", "k"):
        raise ours

    assert caught.value is ours


def test_bugs_pass_through():
    """They are not the network's."""
    with pytest.raises(ZeroDivisionError), translated("get", "b", "k"):
        raise ZeroDivisionError


def test_without_a_bucket_the_service_is_named():
    """Listing buckets."""
    told = pytest.raises(errors.NetworkError, match=r"^list buckets of OSS: ")
    with told, translated("list buckets of", ""):
        raise TimeoutError
