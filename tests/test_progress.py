"""The bar of a terminal; what it shows is seen in tests/cli."""

import io
import threading

from osssync.progress import ProgressBar


def test_a_bar_has_no_thread():
    """With another thread this process could not be forked, and workers would begin anew."""
    before = threading.active_count()

    with ProgressBar(io.StringIO()):
        during = threading.active_count()

    assert before == during
