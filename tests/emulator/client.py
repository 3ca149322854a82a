"""A client that sends exactly what a test says, signed by a signer of its own.

It shares no code with the emulator, so that both would have to be wrong in the same way.
"""

import hashlib
import hmac
import http.client
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from osssync.emulator.emulator import Emulator
from osssync.emulator.settings import Settings, StaticCredential

KEY_ID, SECRET = "AKID", "secret"
OWNER = StaticCredential(KEY_ID, SECRET)


@dataclass(frozen=True)
class Answer:
    """What the server said; header names in lower case."""

    status: int
    headers: dict = field(repr=False)
    body: bytes

    def text(self, path):
        """The text of an element of the XML body; None if there is none."""
        return ET.fromstring(self.body).findtext(path)

    def texts(self, path):
        """The texts of all elements of that path."""
        return [one.text or "" for one in ET.fromstring(self.body).findall(path)]

    @property
    def code(self):
        """The error code, wherever it is; empty if there is none."""
        return self.text("Code") if self.status >= 300 and self.body else ""

    @property
    def outcome(self):
        """Status and code: what most tests compare."""
        return self.status, self.code


def authorization(method, target, headers, bucket_and_key, now_s=None):
    """Sign for V4: sets the date, and returns nothing. ``target`` has its query encoded."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    headers["x-oss-date"] = moment
    headers["x-oss-content-sha256"] = "UNSIGNED-PAYLOAD"
    signed = sorted(
        (name.lower(), value.strip())
        for name, value in headers.items()
        if name.lower().startswith("x-oss-") or name.lower() in {"content-type", "content-md5"}
    )
    query = sorted(
        f"{name}={value}" if value else name
        for name, _, value in (
            piece.partition("=") for piece in target.partition("?")[2].split("&") if piece
        )
    )
    canonical = "\n".join(
        [
            method,
            quote(bucket_and_key, safe="/-_.~"),
            "&".join(query),
            *(f"{name}:{value}" for name, value in signed),
            "",
            "",
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = f"{moment[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"OSS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    key = f"aliyun_v4{SECRET}".encode()
    for piece in (*scope.split("/"), text):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"OSS4-HMAC-SHA256 Credential={KEY_ID}/{scope},Signature={key.hex()}"


class Client:
    """Signed requests on one kept connection."""

    def __init__(self, emulator, bucket="bucket"):
        self.emulator = emulator
        self.bucket = bucket
        self._connection = http.client.HTTPConnection(urlsplit(emulator.endpoint).netloc)

    def close(self):
        self._connection.close()

    def ask(self, method, key="", query="", headers=None, body=None, *, bucket=None):
        """Send one signed request; ``query`` is encoded already, and the key is encoded here."""
        name = self.bucket if bucket is None else bucket
        path = f"/{name}/{quote(key, safe='')}" if name else "/"
        target = f"{path}?{query}" if query else path
        given = dict(headers or {})
        authorization(method, target, given, f"/{name}/{key}" if name else "/")
        return self.send(method, target, given, body)

    def send(self, method, target, headers=None, body=None):
        """Send one request as it is."""
        self._connection.putrequest(
            method, target, skip_host="Host" in (headers or {}), skip_accept_encoding=True
        )
        given = dict(headers or {})
        if body is not None and not {"Content-Length", "Transfer-Encoding"} & set(given):
            given["Content-Length"] = str(len(body))
        for name, value in given.items():
            self._connection.putheader(name, value.encode())
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        data = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, data)

    def put(self, key, body=b"", headers=None, query=""):
        return self.ask("PUT", key, query, headers, body)

    def get(self, key="", query="", headers=None):
        return self.ask("GET", key, query, headers)

    def head(self, key, query="", headers=None):
        return self.ask("HEAD", key, query, headers)

    def post(self, key="", query="", body=b"", headers=None):
        return self.ask("POST", key, query, headers, body)

    def delete(self, key="", query=""):
        return self.ask("DELETE", key, query)

    def configure(self, resource, document):
        """Put a bucket configuration."""
        return self.ask("PUT", "", resource, None, document.encode())


@contextmanager
def emulated(**settings):
    """A client of an emulator of its own, with one bucket called ``bucket``."""
    given = {"credentials": (OWNER,), "buckets": ("bucket",), **settings}
    with Emulator.running(Settings(**given)) as emulator:
        client = Client(emulator)
        try:
            yield client
        finally:
            client.close()


def decoded(texts):
    """URL-encoded texts of a listing, decoded."""
    return [unquote(text) for text in texts]
