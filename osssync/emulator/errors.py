"""The one exception the emulator answers with: an OSS error body waiting to be written."""


class OssFault(Exception):  # noqa: N818 - it is an answer, not a failure of the emulator
    """An error answer: HTTP status, ``<Code>``, ``<Message>``, ``<EC>`` and further elements.

    Args:
        status: HTTP status.
        code: OSS error code, such as ``NoSuchKey``.
        message: text for people.
        ec: error cause number, such as ``0026-00000001``; empty if OSS gives none.
        extra: further elements of the error body, in order (``{"Key": ...}``).
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        ec: str = "",
        extra: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.ec = ec
        self.extra = extra or {}
        self.headers = headers or {}
