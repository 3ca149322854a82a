"""What the part files of a run are called."""

from functools import lru_cache
from hashlib import blake2b

from msgspec import Struct

from osssync.keys import part_file_name


class PartNames(Struct, frozen=True):
    """What a run's part files are called, and where those being written are told of.

    ``salt`` is what their names depend on beside their target. Two runs with the same salt would
    write into each other's part files: they must not go on at the same time. ``ledgers`` is a
    directory in which each process of a run tells the next run with this salt which part files a
    kill left; "" keeps none. ``run`` names this one there. ``sweeps`` for the process that removes
    what earlier runs left, before any other has begun.
    """

    salt: str = ""
    ledgers: str = ""
    run: str = ""
    sweeps: bool = True

    @property
    def probe(self) -> str:
        """The name of a file that is made to see how the destination treats names.

        "" where no file may be made. No target has this name: none is called "/".
        """
        return self.of(("", "")) if self.salt else ""

    def of(self, components: tuple[str, ...]) -> str:
        """The name of a target's part file."""
        named = _begun(self.salt).copy()
        named.update("/".join(components).encode())
        return part_file_name(named.hexdigest())


@lru_cache(maxsize=8)
def _begun(salt: str) -> blake2b:
    """What the hashes of all names with this salt begin with."""
    return blake2b(f"{salt}\0".encode(), digest_size=8)
