"""Tasks of data redundancy transition, as oss2's suite makes, reads, lists and drops them."""

import pytest

from tests.emulator.client import emulated

CREATE = "redundancyTransition&x-oss-target-redundancy-type=ZRS"
ROW = "BucketDataRedundancyTransition"


@pytest.fixture
def client():
    with emulated(buckets=("bucket", "other", "third")) as client:
        yield client


def test_a_task_is_made_read_listed_and_dropped(client):
    """Its id leads to it; the bucket's list and the user's show the same facts."""
    identifier = client.post("", CREATE).text("TaskId")
    query = f"redundancyTransition&x-oss-redundancy-transition-taskid={identifier}"

    got = client.get("", query)
    listed = client.get("", "redundancyTransition")
    of_user = client.ask("GET", "", "redundancyTransition&max-keys=10", bucket="")
    dropped = client.delete("", query)
    afterwards = client.get("", query)

    for name in ("Bucket", "TaskId", "Status", "CreateTime"):
        assert got.text(name) == listed.text(f"{ROW}/{name}") == of_user.text(f"{ROW}/{name}")
    assert ("bucket", identifier) == (got.text("Bucket"), got.text("TaskId"))
    assert 204 == dropped.status
    assert (404, "NoSuchBucketDataRedundancyTransition") == afterwards.outcome


def test_a_bucket_has_one_task_and_only_to_zone_redundancy(client):
    """A second task conflicts with the first; there is no way back to local redundancy."""
    back = client.post("", CREATE.replace("ZRS", "LRS"))
    client.post("", CREATE)
    second = client.post("", CREATE)

    assert (400, "InvalidArgument") == back.outcome
    assert (409, "BucketDataRedundancyTransitionConflict") == second.outcome


def test_the_tasks_of_a_user_come_in_pages(client):
    """Each page says where the next one begins; a token nobody gave out is refused."""
    for name in ("bucket", "other", "third"):
        client.ask("POST", "", CREATE, bucket=name)

    first = client.ask("GET", "", "redundancyTransition&max-keys=2", bucket="")
    token = first.text("NextContinuationToken")
    query = f"continuation-token={token.replace('=', '%3D')}&max-keys=2&redundancyTransition"
    second = client.ask("GET", "", query, bucket="")
    refused = client.ask("GET", "", "continuation-token=%25&redundancyTransition", bucket="")

    assert ["bucket", "other"] == first.texts(f"{ROW}/Bucket")
    assert ["third"] == second.texts(f"{ROW}/Bucket")
    assert ("true", "false") == (first.text("IsTruncated"), second.text("IsTruncated"))
    assert (400, "InvalidArgument") == refused.outcome
