"""What a look at a tree finds, and when it looks no further."""

import os

from osssync.local.glance import sizes_of_few


def test_a_small_tree_is_its_sizes(tmp_path):
    """Of files at every level; directories have none."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "a" / "b" / "three").write_bytes(b"333")

    assert [1, 3] == sorted(sizes_of_few(str(tmp_path), 4))


def test_directories_count_as_names(tmp_path):
    """A tree of empty directories takes as long to look at as one of files."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "c").touch()

    assert [0] == sizes_of_few(str(tmp_path), 3)
    assert sizes_of_few(str(tmp_path), 2) is None


def test_what_is_not_there_holds_nothing(tmp_path):
    """The destination of a first run."""
    assert [] == sizes_of_few(str(tmp_path / "missing"), 0)


def test_links_and_files_are_for_the_scan(tmp_path):
    """A link may lead anywhere; a file is no tree."""
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "file").touch()

    assert sizes_of_few(str(tmp_path), 10) is None
    assert sizes_of_few(str(tmp_path / "file"), 10) is None


def test_a_directory_that_cannot_be_read_is_for_the_scan(tmp_path, monkeypatch):
    """Who knows how much is in it."""
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def refuse(path):
        if path.endswith("closed"):
            raise PermissionError(path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)

    assert sizes_of_few(str(tmp_path), 10) is None


def test_what_goes_meanwhile_makes_it_no_small_tree(tmp_path, monkeypatch):
    """What else is there was not looked at: a directory, then a file, that is gone by its turn."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    listed = os.scandir

    def lose(path):
        names = listed(path)
        if path.endswith("folder"):
            (tmp_path / "file").unlink()
        return names

    monkeypatch.setattr(os, "scandir", lose)
    assert sizes_of_few(str(tmp_path), 10) is None

    def lose_folder(path):
        if path.endswith("folder"):
            raise FileNotFoundError(path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", lose_folder)
    assert sizes_of_few(str(tmp_path), 10) is None
