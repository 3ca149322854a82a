"""One emulator: OSS, the metadata service and the control address, started and stopped together."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_address

from aiohttp import web

from osssync.emulator.authority import Authority
from osssync.emulator.call import World
from osssync.emulator.clock import CloudClock
from osssync.emulator.control import make_control_app
from osssync.emulator.faults import Faults
from osssync.emulator.metadata import MetadataLog, MetadataRequest, make_metadata_app
from osssync.emulator.objects import Objects
from osssync.emulator.request_log import LoggedRequest, RequestLog
from osssync.emulator.server import MAX_LINE_BYTES, READ_BUFFER_BYTES, OssServer
from osssync.emulator.settings import Settings

# More would only compete with the event loop for the machine the client runs on too.
_THREADS = 4
# What a request in flight still gets; one that hangs on purpose would wait for ever.
_FAREWELL_S = 0.1
_BACKLOG = 1024  # connections waiting to be accepted: clients open hundreds at once


class Emulator:
    """An OSS and an ECS metadata service on this machine.

    ``start`` and ``stop`` belong to one event loop; ``running`` gives it a thread of its own.
    Everything else may be used from any thread while it runs.

    Raises:
        OSError: from ``start``, a port is taken.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = CloudClock()
        self.authority = Authority(self.settings, self.clock)
        self.faults = Faults.load(self.settings.faults) if self.settings.faults else Faults()
        self.objects = Objects(self.settings.root, self.clock)
        for name in self.settings.buckets:
            self.objects.create_bucket(name, f"oss-{self.settings.region}")
        self._log = RequestLog(self.settings.request_log)
        self._metadata_log = MetadataLog()
        self._executor = ThreadPoolExecutor(_THREADS, "oss-emulator")
        self._oss: asyncio.Server | None = None
        self._oss_connections: web.Server | None = None
        self._runners: list[web.AppRunner] = []
        self._ports = {"oss": 0, "metadata": 0, "control": 0}

    @property
    def endpoint(self) -> str:
        """Of OSS, path-style: ``http://127.0.0.1:PORT``."""
        scheme = "https" if self.settings.tls_cert else "http"
        return f"{scheme}://{self._host}:{self._ports['oss']}"

    @property
    def metadata_endpoint(self) -> str:
        """Of the metadata service, asked directly."""
        return f"http://{self._host}:{self._ports['metadata']}"

    @property
    def metadata_proxy(self) -> str:
        """The same as an HTTP proxy for ``http://100.100.100.200``."""
        return self.metadata_endpoint

    @property
    def control_endpoint(self) -> str:
        """Where faults, rotation and clock are changed over HTTP."""
        return f"http://{_url_host(self._control_bind)}:{self._ports['control']}"

    @property
    def requests(self) -> list[LoggedRequest]:
        """The OSS requests so far, in order of completion."""
        return self._log.snapshot()

    @property
    def metadata_requests(self) -> list[MetadataRequest]:
        """The metadata requests so far."""
        return self._metadata_log.snapshot()

    def forget_requests(self) -> None:
        """Begin a new count of OSS requests."""
        self._log.clear()

    @property
    def _host(self) -> str:
        return _url_host(self.settings.bind)

    @property
    def _control_bind(self) -> str:
        """Never more than loopback: whoever reaches it can do everything."""
        bind = self.settings.bind
        return bind if ip_address(bind).is_loopback else "127.0.0.1"

    async def start(self) -> None:
        """Listen on all three ports.

        Raises:
            OSError: a port is taken; nothing is left listening.
        """
        settings = self.settings
        try:
            await self._start_oss()
            metadata = make_metadata_app(
                self.authority, self.settings, self.faults, self._metadata_log, self.clock
            )
            await self._start_app("metadata", metadata, settings.bind, settings.metadata_port)
            control = make_control_app(self)
            await self._start_app("control", control, self._control_bind, settings.control_port)
        except BaseException:
            await self.stop()
            raise

    async def _start_oss(self) -> None:
        settings = self.settings
        world = World(self.objects, settings, self.authority, self._executor)
        server = OssServer(world, self.authority, self.faults, self._log, self.clock)
        self._oss_connections = web.Server(
            server.answer,
            access_log=None,
            auto_decompress=False,  # a gzip body is stored as it came
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            read_bufsize=READ_BUFFER_BYTES,
        )
        self._oss = await asyncio.get_running_loop().create_server(
            self._oss_connections,
            settings.bind,
            settings.port,
            ssl=_tls(settings),
            backlog=_BACKLOG,
        )
        self._ports["oss"] = self._oss.sockets[0].getsockname()[1]

    async def _start_app(self, name: str, app: web.Application, bind: str, port: int) -> None:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_FAREWELL_S)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, bind, port, backlog=_BACKLOG).start()
        self._ports[name] = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every port and connection; a persistent store is complete on disk."""
        if self._oss is not None:
            self._oss.close()
        if self._oss_connections is not None:
            await self._oss_connections.shutdown(_FAREWELL_S)
        for runner in self._runners:
            await runner.cleanup()
        self._executor.shutdown()
        self.objects.close()
        self._log.close()

    @classmethod
    @contextmanager
    def running(cls, settings: Settings | None = None) -> Iterator["Emulator"]:
        """Run an emulator in a thread of its own while the ``with`` block lasts."""
        emulator = cls(settings)
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        thread = threading.Thread(
            target=asyncio.run, args=(emulator._serve(started),), name="oss-emulator", daemon=True
        )
        thread.start()
        loop, stopping = started.result()
        try:
            yield emulator
        finally:
            loop.call_soon_threadsafe(stopping.set)
            thread.join()

    async def _serve(
        self, started: "Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]"
    ) -> None:
        """Run until told to stop; ``started`` gets the way to tell, or why there is none."""
        stopping = asyncio.Event()
        try:
            await self.start()
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            started.set_exception(error)
            return
        started.set_result((asyncio.get_running_loop(), stopping))
        await stopping.wait()
        await self.stop()


def _url_host(bind: str) -> str:
    """How an address to listen on is written in a URL; all interfaces are reached by loopback."""
    if bind in {"0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound to
        return "127.0.0.1"
    return f"[{bind}]" if ":" in bind else bind


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context
