"""What is transferred: made on a memory file system, and compared byte by byte afterwards."""

import os
import shutil
from pathlib import Path
from typing import Final

from racing.races import GIB, MIB, Material

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the one place that disks do not slow down
MARGIN: Final = GIB  # for journals, programs and page tables
# As the server makes them up, see synthetic_key and synthetic_object in server/store.rs.
SYNTHETIC_SIZES: Final = 65_536
SYNTHETIC_TIME_S: Final = 1_735_787_045


def room(place: Path) -> int:
    """Bytes that sources or outputs may take: half of what memory and file system both have."""
    available = 0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    free = min(available, shutil.disk_usage(place).free)
    return max(0, free - MARGIN) // 2


def make(material: Material, folder: Path) -> None:
    """Writes the objects: random bytes, which neither compress nor repeat."""
    for index in range(material.count):
        path = folder / material.key(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for start in range(0, material.size, MIB):
                file.write(os.urandom(min(MIB, material.size - start)))


def make_synthetic(count: int, folder: Path) -> None:
    """Writes files that equal the server's made-up objects in name, size and time; no bytes."""
    for index in range(count):
        path = folder / f"d{index // 1000:04}" / f"f{index:08}"
        if index % 1000 == 0:
            path.parent.mkdir(parents=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.truncate(descriptor, index % SYNTHETIC_SIZES)
        os.utime(descriptor, (SYNTHETIC_TIME_S, SYNTHETIC_TIME_S))
        os.close(descriptor)


def claim(file: Path, size: int) -> None:
    """Fills and frees memory, so that nobody waits for it while being timed.

    A virtual machine's host takes back what lies free for a second or two; who writes there next
    waits for every page, up to four times as long in all. The system may hand out other pages
    than those that were claimed last, so it is three times what will be written: with as much as
    that, the same client at another place in the order was half as fast again.
    """
    with file.open("wb", buffering=0) as written:
        for _ in range(0, min(3 * size, room(file.parent)), MIB):
            written.write(bytes(MIB))
    file.unlink()


def empty(folder: Path) -> None:
    """Removes a folder with all it holds and makes it anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def difference(expected: Path, actual: Path) -> str | None:
    """What distinguishes two trees, by names and every byte; None if nothing does."""
    wanted, found = _names(expected), _names(actual)
    if wanted != found:
        odd = sorted(wanted ^ found)
        return f"{len(odd)} files are missing or too many, such as {odd[0]}"
    for name in sorted(wanted):
        if not _same_bytes(expected / name, actual / name):
            return f"{name} differs"
    return None


def uploads_difference(expected: str, received: str, bucket: str) -> str | None:
    """What distinguishes the server's manifests of a source and of an upload; None if nothing.

    A line of either is CRC-64, size and key; those of an upload have the bucket before the key.
    """
    wanted = set(expected.splitlines())
    found = {line.replace(f" {bucket}/", " ", 1) for line in received.splitlines()}
    odd = sorted(wanted ^ found)
    return f"{len(odd)} objects differ, such as {odd[0]}" if odd else None


def _names(folder: Path) -> set[str]:
    names: set[str] = set()
    for base, _, files in os.walk(folder):
        names.update(os.path.relpath(os.path.join(base, name), folder) for name in files)  # noqa: PTH118 - a path object each would cost seconds
    return names


def _same_bytes(left: Path, right: Path) -> bool:
    if left.stat().st_size != right.stat().st_size:
        return False
    with left.open("rb", buffering=0) as one, right.open("rb", buffering=0) as other:
        while block := one.read(MIB):
            if block != other.read(MIB):
                return False
    return True
