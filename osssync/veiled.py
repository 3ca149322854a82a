"""Records that may hold secrets: what is shown of one, by whatever means, is its class."""

from typing import Any

from msgspec import Struct


class Veiled(Struct, frozen=True):
    """A record of which neither ``repr`` nor a pretty printer shows a field."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> Any:  # noqa: ANN401 - of rich's own kind
        """Nothing for ``rich``, which asks a record for all its fields."""
        return ()
