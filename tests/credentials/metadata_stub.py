"""A metadata service on loopback that does what a test tells it; also plays the HTTP proxy.

It is small on purpose: the emulator is the faithful one.
"""

import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ROLE_LIST = "/latest/meta-data/ram/security-credentials/"
TOKEN = "/latest/api/token"
SECRET = "SeCrEtOfSet"
STS_TOKEN = "ToKeNoFsEt"


class MetadataStub:
    """Settings are plain attributes; ``requests`` is what came in, in order."""

    def __init__(self):
        self.role = "AppRole"
        self.number = 1  # of the set handed out
        self.expires_at_s = time.time() + 6 * 3600
        self.v2_only = False
        self.token_status = 200
        self.status = 200  # of the credentials
        self.body = None  # of the credentials, instead of a document
        self.changes = {}  # to the document; None deletes a field
        self.delay_s = 0.0
        self.redirect = ""
        self.tokens = set()  # given out, and accepted
        self.facts = {}
        self.requests = []
        self.on_credentials = lambda: None  # called before a set is handed out
        stub = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_PUT(self):
                stub.answer(self)

            do_GET = do_PUT  # noqa: N815 - the name http.server calls

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def proxy(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def lines(self):
        """The requests as ``METHOD path`` with a ``+`` for those that carried a token."""
        return [
            f"{method}{'+' if token else ''} {path}" for method, path, token, _ in self.requests
        ]

    @property
    def authorities(self):
        return {authority for *_, authority in self.requests}

    def document(self):
        expiration = datetime.fromtimestamp(self.expires_at_s, tz=UTC)
        document = {
            "Code": "Success",
            "AccessKeyId": f"STS.Set{self.number:04}ForTests",
            "AccessKeySecret": f"{SECRET}{self.number:04}",
            "SecurityToken": f"{STS_TOKEN}{self.number:04}",
            "Expiration": f"{expiration:%Y-%m-%dT%H:%M:%SZ}",
        } | self.changes
        return {name: value for name, value in document.items() if value is not None}

    def answer(self, request):
        parts = urlsplit(request.path)
        token = request.headers.get("X-aliyun-ecs-metadata-token")
        self.requests.append((request.command, parts.path, token, parts.netloc))
        if self.delay_s:
            time.sleep(self.delay_s)
        status, body = self._decide(request.command, parts.path, token)
        payload = body if isinstance(body, bytes) else body.encode()
        try:
            request.send_response(status)
            if self.redirect:
                request.send_header("Location", self.redirect)
            request.send_header("Content-Length", str(len(payload)))
            request.end_headers()
            request.wfile.write(payload)
        except OSError:  # the client gave up: what a slow service is for
            request.close_connection = True

    def _decide(self, method, path, token):
        if method == "PUT" and path == TOKEN:
            given = f"imds-{len(self.requests)}"
            self.tokens.add(given)
            return self.token_status, given
        if token not in self.tokens and (self.v2_only or token is not None):
            return 403, "who gave you that?"
        if path.startswith(ROLE_LIST):
            return self._decide_role(path.removeprefix(ROLE_LIST))
        facts = {"/latest/meta-data/region-id": "cn-hangzhou\n"} | self.facts
        return (200, facts[path]) if path in facts else (404, "no such fact")

    def _decide_role(self, role):
        if not role:
            return (200, self.role) if self.role else (404, "no role")
        self.on_credentials()
        if role != self.role:
            return 404, "no such role"
        return self.status, json.dumps(self.document()) if self.body is None else self.body
