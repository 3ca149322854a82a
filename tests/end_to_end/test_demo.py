"""The demo: what it says is so."""

import re
import subprocess
import sys


def test_the_demo_proves_what_it_says():
    """Exit 0; at least three rotations while bytes move, one inside an object; all bytes equal."""
    done = subprocess.run(
        [sys.executable, "-m", "osssync", "demo", "--large-mib", "96", "--files", "40"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stdout + done.stderr
    moved, rotations, verdict = done.stdout.splitlines()[-3:]
    assert re.match(r"moved: +87 objects, ", moved)
    while_moving, inside, refused = map(int, re.findall(r"\d+", rotations))
    assert while_moving >= 3
    assert inside >= 1
    assert refused >= 1
    assert "every byte matched" == verdict


def test_a_damaged_copy_makes_the_demo_fail(tmp_path):
    """The comparison can fail: one flipped byte is a difference."""
    from osssync.demo import tree_digest, write_tree

    write_tree(tmp_path / "a", 100, 3)
    write_tree(tmp_path / "b", 100, 3)
    before = tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b")
    body = bytearray((tmp_path / "b" / "large.bin").read_bytes())
    body[50] ^= 1
    (tmp_path / "b" / "large.bin").write_bytes(body)

    assert before
    assert tree_digest(tmp_path / "a") != tree_digest(tmp_path / "b")
