"""Files that change while they are uploaded: an object is one version of its file, or none."""

import os
import threading

import pytest
from msgspec.structs import replace

import osssync
from osssync.config import TransferSettings
from osssync.emulator.faults import read_rule
from tests.trees import make_tree

PART = 100 * 1024
SMALL, LARGE = 50_000, 5 * PART


def grow(path):
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path):
    os.truncate(path, 10)


def rewrite(path):
    path.write_bytes(os.urandom(path.stat().st_size))


def rename_over(path):
    other = path.with_name("other")
    other.write_bytes(os.urandom(path.stat().st_size))
    other.replace(path)


def delete(path):
    path.unlink()


def become_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def become_a_directory(path):
    path.unlink()
    path.mkdir()


EDITS = (grow, shrink, rewrite, rename_over, delete, become_a_pipe, become_a_directory)
MOMENTS = (
    ("PutObject", SMALL),
    ("InitiateMultipartUpload", LARGE),
    ("UploadPart", LARGE),
    ("CompleteMultipartUpload", LARGE),
)


@pytest.mark.parametrize(("operation", "size"), MOMENTS, ids=str)
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_object_is_one_version_of_its_file(emulator, options, tmp_path, operation, size, edit):
    """An edit at any moment: the old bytes, the new ones, or a failure; never a mixture."""
    make_tree(tmp_path / "t", {"file": size})
    path = tmp_path / "t" / "file"
    os.utime(path, (1e9, 1e9))
    versions = [path.read_bytes()]
    emulator.faults.replace(
        [read_rule({"effect": "delay", "delay_s": 0.1, "operation": operation, "times": 1})]
    )
    in_parts = replace(
        options, transfer=TransferSettings(jobs=2, part_size=PART, bigfile_threshold=PART)
    )
    editor = threading.Thread(target=edit_when_asked, args=(emulator, path, edit))
    editor.start()

    report = osssync.copy(tmp_path / "t", "oss://bucket/t", in_parts, recursive=True)

    editor.join()
    if path.is_file():
        versions.append(path.read_bytes())
        os.utime(path, (1e9, 1e9))
    stored = [bytes(emulator.objects.get("bucket", key)) for key in emulator.objects.keys("bucket")]
    assert (report.exit_code == 0) == (len(stored) == 1)
    assert all(one in versions for one in stored)


def edit_when_asked(emulator, path, edit):
    """Edit as soon as the slowed request has arrived."""
    while not emulator.faults.snapshot()[0]["seen"]:
        threading.Event().wait(0.002)
    edit(path)


def test_a_file_that_nobody_may_read_fails_alone(emulator, options, tmp_path, monkeypatch):
    """Permission taken away after the listing: that file is reported, the others arrive."""
    make_tree(tmp_path / "t", {"a": 5, "b": 5, "c": 5})
    refuse = PermissionError(13, "Permission denied")
    opened = os.open

    def open_but_b(path, *arguments, **keywords):
        if str(path).endswith("/t/b"):
            raise refuse
        return opened(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", open_but_b)

    report = osssync.sync(tmp_path / "t", "oss://bucket/t", options)

    assert (4, ["t/a", "t/c"]) == (report.exit_code, emulator.objects.keys("bucket"))
    assert "give this user permission" in report.failures[0].failure.message
