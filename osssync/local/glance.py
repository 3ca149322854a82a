"""A first look at a tree, over at once: is it so small that nobody need help with it?"""

import os


def sizes_of_few(root: str, most: int) -> list[int] | None:
    """The sizes in bytes of all files below ``root`` if it holds at most so many names, else None.

    What is not there holds none. None as well where there is more to it: links, or a directory that
    cannot be read. Whoever scans the tree later may find another one.
    """
    sizes: list[int] = []
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
                        sizes.append(name.stat(follow_symlinks=False).st_size)
    except FileNotFoundError:
        return sizes
    except OSError:
        return None
    return sizes
