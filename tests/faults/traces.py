"""What a run leaves behind: part files, uploads, threads, and what the journal knows of them."""

import threading

from osssync.journal import Journal, default_state_dir, job_key


def part_files(root):
    """Names of the unfinished files below a directory."""
    return sorted(path.name for path in root.rglob(".osssync-*"))


def uploads(emulator, prefix=""):
    """Ids of the unfinished uploads below a prefix."""
    found = emulator.objects.bucket("bucket").uploads.values()
    return sorted(one.upload_id for one in found if one.model.key.startswith(prefix))


def journaled(job, environ):
    """Ids of what the journal remembers as unfinished: names of part files, or upload ids."""
    warnings = []
    with Journal.open(default_state_dir(environ), warnings.append) as journal:
        known = journal.all_unfinished(job_key(job))
    assert [] == warnings
    return sorted(one.pinned.transfer_id for one in known)


def threads():
    """Our threads that are there now."""
    return sorted(one.name for one in threading.enumerate() if one.name.startswith("osssync"))


def books_balance(totals):
    """Whether every object that was found is in exactly one sum."""
    counted = totals.transferred + totals.skipped + totals.excluded + totals.failed
    return totals.found == counted
