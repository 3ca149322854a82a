"""Whose report it is: ``--retry-from`` takes one of the same source and destination only."""

import json

import pytest

from osssync.config import Job, LocalAddress, OssAddress, parse_address
from osssync.errors import UsageError
from osssync.model import Entry, Failure, Outcome, Step, Task
from osssync.progress import SilentMonitor
from osssync.report_file import ReportFile, failed_keys

DENIED = Failure("AccessDeniedError", "no permission", 7)
UP = ("./in", "oss://bucket/prefix")


def job_of(source, destination, *, recursive=True):
    return Job(parse_address(source), parse_address(destination), recursive)


@pytest.fixture
def report(tmp_path, monkeypatch):
    """Write the report of a job in which ``k`` failed, from the directory ``tmp_path``."""
    monkeypatch.chdir(tmp_path)

    def write(job):
        path = tmp_path / "report.ndjson"
        with ReportFile(path, job, SilentMonitor()) as written:
            written.ended(Outcome(Task(1, Step.WHOLE, Entry("k", 1, 0), "k"), failure=DENIED))
        return path

    return write


@pytest.mark.parametrize(
    "again",
    [UP, ("in/", "oss://bucket/prefix/"), ("../{here}/in", "oss://bucket/prefix")],
    ids=["the same", "with slashes", "by another way"],
)
def test_the_same_places_may_be_written_in_other_ways(report, tmp_path, again):
    """A slash at the end of a tree means nothing, nor does the way to a directory."""
    path = report(job_of(*UP))

    keys = failed_keys(path, job_of(again[0].format(here=tmp_path.name), again[1]))

    assert {"k"} == keys


def test_the_working_directory_may_be_another_one(report, tmp_path, monkeypatch):
    """The report knows its places by their whole paths: ./in from elsewhere is another tree."""
    path = report(job_of(*UP))
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")

    assert {"k"} == failed_keys(path, job_of("../in", UP[1]))
    with pytest.raises(UsageError, match="it is the report of"):
        failed_keys(path, job_of(*UP))


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("./other", "oss://bucket/prefix"),
        ("./in", "oss://bucket/other"),
        ("./in", "oss://other/prefix"),
        ("./in", "oss://bucket/prefix//"),
        ("oss://bucket/prefix", "./in"),
    ],
)
def test_the_report_of_another_job_is_refused(report, tmp_path, source, destination):
    """Its keys mean other objects: both jobs are named."""
    path = report(job_of(*UP))

    with pytest.raises(UsageError) as caught:
        failed_keys(path, job_of(source, destination))

    assert f"a tree, {tmp_path}/in to oss://bucket/prefix/" in str(caught.value)
    assert destination.removeprefix("./").rstrip("/") in str(caught.value)


def test_a_tree_and_an_object_of_the_same_name_are_two_jobs(report):
    """Cp of one object and cp -r of all below it."""
    path = report(job_of("oss://bucket/x", "out", recursive=False))

    assert {"k"} == failed_keys(path, job_of("oss://bucket/x", "out", recursive=False))
    with pytest.raises(UsageError, match=r"one object, .* not of a tree, "):
        failed_keys(path, job_of("oss://bucket/x", "out"))


def test_places_with_stray_bytes_and_line_breaks_are_known_again(report):
    """What is written in JSON's escapes is read back; in a message it is safe for a terminal."""
    job = Job(LocalAddress("/in\udcff\n"), OssAddress("bucket", "\x1b[31m"))
    path = report(job)

    assert {"k"} == failed_keys(path, job)
    with pytest.raises(UsageError) as caught:
        failed_keys(path, job_of(*UP))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "head",
    [
        {"source": "/in", "destination": "oss://bucket/prefix"},
        {"source": "/in", "destination": "oss://bucket/prefix", "recursive": "yes"},
        {"source": 7, "destination": "oss://B", "recursive": True},
        {"recursive": True},
    ],
)
def test_a_report_that_does_not_say_whose_it_is_is_none(tmp_path, head):
    """A first line without source, destination or kind is refused."""
    path = tmp_path / "report.ndjson"
    path.write_text(json.dumps({"event": "run", "format": 1, **head}) + "\n")

    with pytest.raises(UsageError, match="--retry-from"):
        failed_keys(path, job_of("/in", "oss://bucket/prefix"))
