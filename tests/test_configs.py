"""What configs/ promises, tried against the emulator with that very policy."""

import osssync
from osssync.emulator.settings import Settings
from tests.conftest import ROOT, options_for
from tests.trees import make_tree, tree_bytes


def policy(tmp_path, name):
    """A policy of configs/ for the bucket of the tests."""
    text = (ROOT / "configs" / name).read_text().replace("examplebucket", "bucket")
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_download_policy_is_enough_and_no_more(emulate, tmp_path):
    """ram-policy-download.json: a sync down works; an upload and another prefix are refused."""
    path = policy(tmp_path, "ram-policy-download.json")
    emulator = emulate(Settings(buckets=("bucket",), policy=path))
    options = options_for(emulator)
    emulator.objects.put("bucket", "images/a", b"1")
    make_tree(tmp_path / "t", {"b": 1})

    down = osssync.sync("oss://bucket/images", tmp_path / "out", options)
    up = osssync.sync(tmp_path / "t", "oss://bucket/images", options)
    elsewhere = osssync.sync("oss://bucket/other", tmp_path / "other", options)

    assert (0, 7, 7) == (down.exit_code, up.exit_code, elsewhere.exit_code)
    assert {"a": b"1"} == tree_bytes(tmp_path / "out")


def test_the_upload_policy_is_enough_and_no_more(emulate, tmp_path):
    """ram-policy-upload.json: small and large files go up; nothing can be deleted."""
    path = policy(tmp_path, "ram-policy-upload.json")
    emulator = emulate(Settings(buckets=("bucket",), policy=path))
    options = options_for(emulator, part_size=100 << 10, bigfile_threshold=200 << 10)
    make_tree(tmp_path / "t", {"small": 1, "large": 300 << 10})

    up = osssync.sync(tmp_path / "t", "oss://bucket/backup", options)

    assert 0 == up.exit_code
    assert ["backup/large", "backup/small"] == emulator.objects.keys("bucket")
