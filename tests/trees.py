"""Making and comparing trees of files."""

import os
import random
from pathlib import Path

AWKWARD = (
    "a.txt",
    "a/b.txt",
    "a-b",
    "a0",
    "sp ace/plus+.txt",
    "percent%41%2F.bin",
    "question?hash#amp&.txt",
    "quote'\"<tag>.xml",
    "ディレクトリ/ファイル.txt",
    "new\nline",
    "tab\there",
    "back\\slash",
    "emoji 🚀",
    "deep/" * 20 + "leaf",
    "tilde~!*()",
    ".hidden",
)


def make_tree(root: Path, sizes: dict[str, int], seed: int = 7) -> None:
    """Files of the given sizes with bytes that differ from file to file."""
    source = random.Random(seed)
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for start in range(0, size, 1 << 20):
                file.write(source.randbytes(min(1 << 20, size - start)))


def tree_bytes(root: Path) -> dict[str, bytes]:
    """Every file below a root by its relative name."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            found[str(path.relative_to(root))] = path.read_bytes()
    return found
