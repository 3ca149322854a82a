"""A first look at a tree, over at once: is it so small that nobody need help with it?"""

import os


def files_of_few(root: str, most: int) -> list[os.DirEntry[str]] | None:
    """All files below ``root`` if it holds at most so many names, else None; none has its status.

    What is not there holds none. None as well where there is more to it: links, or a directory that
    cannot be read. Whoever scans the tree later may find another one.
    """
    files: list[os.DirEntry[str]] = []
    directories = [root]
    left = most
    try:
        while directories:
            with os.scandir(directories.pop()) as names:
                for name in names:
                    left -= 1
                    if left < 0 or name.is_symlink():
                        return None
                    if name.is_dir():
                        directories.append(name.path)
                    else:
                        files.append(name)
    except FileNotFoundError:
        return [] if left == most else None  # the root, or what was in it an instant ago
    except OSError:
        return None
    return files


def sizes_of_few(root: str, most: int) -> list[int] | None:
    """The sizes in bytes of ``files_of_few``; None as well if one is gone by then."""
    files = files_of_few(root, most)
    if files is None:
        return None
    try:
        return [file.stat(follow_symlinks=False).st_size for file in files]
    except OSError:
        return None
