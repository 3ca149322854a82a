"""Listings of objects and of versions: pages, prefixes, delimiters, encodings, speed."""

import time
from itertools import groupby
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.emulator.listing import Window, entries
from osssync.emulator.sorted_keys import SortedKeys
from tests.emulator.client import decoded, emulated


@pytest.fixture(scope="module")
def shared():
    with emulated(buckets=("bucket", "versioned")) as client:
        yield client


@pytest.fixture
def client(shared):
    objects = shared.emulator.objects
    for name in ("bucket", "versioned"):
        bucket = objects.buckets[name]
        for key in list(bucket.versions):
            objects.delete(name, key)
        bucket.versioning = ""
    return shared


def fill(client, *keys, bucket="bucket"):
    for key in keys:
        client.emulator.objects.put(bucket, key, b"x")


def slow_entries(keys, window):
    """What a listing shows, by brute force."""
    prefix, delimiter = window.prefix, window.delimiter

    def name_of(key):
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        return (key, False) if cut < 0 else (key[: cut + len(delimiter)], True)

    matching = sorted(key for key in keys if key.startswith(prefix))
    shown = [name for name, _ in groupby(name_of(key) for key in matching)]
    return [one for one in shown if one[0] > window.after]


names = st.text("ab/\U0010ffff", max_size=5)


@given(st.sets(names, max_size=20), names, st.sampled_from(["", "/", "b", "b/"]), names)
def test_a_listing_is_the_sorted_grouping_of_its_keys(keys, prefix, delimiter, after):
    """Skipping what is below a common prefix changes nothing of what is shown.

    A key below a common prefix may itself be the marker: then the prefix, being smaller, is past.
    """
    sorted_keys = SortedKeys()
    for key in keys:
        sorted_keys.add(key)
    window = Window(prefix, delimiter, after, 1000)

    def source(start, inclusive):
        return sorted_keys.walk(start, inclusive=inclusive)

    assert slow_entries(keys, window) == list(entries(source, window))


def walk_v2(client, query):
    """Every page of a ListObjectsV2: names in order, and the number of pages."""
    found, pages, token = [], 0, ""
    while True:
        more = f"&continuation-token={quote(token, safe='')}" if token else ""
        page = client.get("", f"list-type=2&encoding-type=url&{query}{more}")
        keys = decoded(page.texts("Contents/Key") + page.texts("CommonPrefixes/Prefix"))
        assert str(len(keys)) == page.text("KeyCount")
        found += sorted(keys)
        pages += 1
        if page.text("IsTruncated") == "false":
            return found, pages
        token = page.text("NextContinuationToken")


def walk_v1(client, query):
    """Every page of a ListObjects."""
    found, pages, marker = [], 0, ""
    while True:
        page = client.get("", f"encoding-type=url&{query}&marker={marker}")
        found += sorted(decoded(page.texts("Contents/Key") + page.texts("CommonPrefixes/Prefix")))
        pages += 1
        if page.text("IsTruncated") == "false":
            return found, pages
        marker = page.text("NextMarker")


@pytest.mark.parametrize("walk", [walk_v1, walk_v2])
@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_pages_together_are_the_listing(client, walk, page):
    """Keys and common prefixes count together, and none is shown twice or lost between pages."""
    fill(client, "a", "b/1", "b/2", "b0", "c/", "c/x/y", "d\x0b", "é", "\U0001f600")

    found, pages = walk(client, f"delimiter=%2F&max-keys={page}")

    expected = ["a", "b/", "b0", "c/", "d\x0b", "é", "\U0001f600"]
    assert expected == found
    assert max(1, -(-len(expected) // page)) == pages


def test_a_listing_says_what_each_object_is(client):
    """The fields of OSS in their order; owners where they belong."""
    client.put("key", b"abc", {"x-oss-storage-class": "IA"})

    one = client.get("", "prefix=k").body.decode()
    two = client.get("", "list-type=2&prefix=k").body.decode()

    start = one.index("<Contents>")
    shown = one[start : one.index("<Owner>")]
    assert shown.startswith("<Contents><Key>key</Key><LastModified>2")
    assert shown.endswith(
        '.000Z</LastModified><ETag>"900150983CD24FB0D6963F7D28E17F72"</ETag><Type>Normal</Type>'
        "<Size>3</Size><StorageClass>IA</StorageClass>"
    )
    assert "<Owner>" not in two
    assert "<Owner>" in client.get("", "list-type=2&fetch-owner=true").body.decode()


def test_keys_are_written_so_that_xml_survives(client):
    """Escaped as they are, or URL-encoded but for unreserved bytes, with %20 for a space."""
    fill(client, "a&b<c>", "d e+é/")

    plain = client.get("", "list-type=2")
    encoded = client.get("", "list-type=2&encoding-type=url&prefix=d%20")

    assert ["a&b<c>", "d e+é/"] == plain.texts("Contents/Key")
    assert ["d%20e%2B%C3%A9%2F"] == encoded.texts("Contents/Key")
    assert ("d%20", "url") == (encoded.text("Prefix"), encoded.text("EncodingType"))


@pytest.mark.parametrize(
    "query",
    ["max-keys=1001", "max-keys=-1", "max-keys=x", "encoding-type=gzip", "prefix=" + "x" * 1024,
     "list-type=2&continuation-token=%21"],
)  # fmt: skip
def test_a_listing_that_oss_refuses(client, query):
    """400 InvalidArgument, with the name of the argument."""
    answer = client.get("", query)

    assert (400, "InvalidArgument") == answer.outcome
    assert answer.text("ArgumentName")


def test_a_page_holds_100_keys_unless_asked_otherwise(client):
    """The default of OSS, which clients must not take for everything."""
    fill(client, *(f"{number:04}" for number in range(120)))

    page = client.get("", "list-type=2")

    assert ("100", "100", "true") == (
        page.text("MaxKeys"),
        page.text("KeyCount"),
        page.text("IsTruncated"),
    )
    after = client.get("", "list-type=2&start-after=0117&max-keys=1000")
    assert ["0118", "0119"] == after.texts("Contents/Key")
    assert [] == client.get("", "list-type=2&max-keys=0").texts("Contents/Key")


def test_listing_a_large_bucket_does_not_sort_it(client):
    """A page from the middle of 100,000 keys costs about what it costs among 1,000."""
    fill(client, *(f"{number:06}" for number in range(1000)))
    client.get("", "list-type=2&max-keys=1000")

    def quickest(query):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            assert "1000" == client.get("", query).text("KeyCount")
            times.append(time.perf_counter() - start)
        return min(times)

    small = quickest("list-type=2&max-keys=1000")
    fill(client, *(f"{number:06}" for number in range(1000, 100_000)))
    large = quickest("list-type=2&max-keys=1000&start-after=050000")

    assert large < small * 8


VERSIONING = "<VersioningConfiguration><Status>{}</Status></VersioningConfiguration>"


def versioned(client, status="Enabled"):
    client.bucket = "versioned"
    client.configure("versioning", VERSIONING.format(status))


@pytest.fixture
def back(client):
    yield
    client.bucket = "bucket"


@pytest.mark.usefixtures("back")
def test_versions_are_kept_and_can_be_read(client):
    """Every put makes one; the newest is the object, the others have their ids."""
    versioned(client)
    first = client.put("key", b"1").headers["x-oss-version-id"]
    second = client.put("key", b"2").headers["x-oss-version-id"]

    assert (b"2", b"1", second) == (
        client.get("key").body,
        client.get("key", f"versionId={first}").body,
        client.head("key").headers["x-oss-version-id"],
    )
    assert (404, "NoSuchVersion") == client.get("key", "versionId=CAEQ" + "0" * 48).outcome
    assert (400, "InvalidArgument") == client.get("key", "versionId=nonsense").outcome
    assert (400, "InvalidArgument") == client.get("key", "versionId").outcome


@pytest.mark.usefixtures("back")
def test_deleting_hides_and_deleting_the_marker_shows_again(client):
    """A delete marker is a version; a named version is gone for good."""
    versioned(client)
    client.put("key", b"1")
    deleted = client.delete("key").headers

    hidden = client.get("key")
    marker = deleted["x-oss-version-id"]
    named = client.get("key", f"versionId={marker}")

    assert ("true", (404, "NoSuchKey"), "true") == (
        deleted["x-oss-delete-marker"],
        hidden.outcome,
        hidden.headers["x-oss-delete-marker"],
    )
    assert (405, "MethodNotAllowed") == named.outcome
    assert [] == client.get("", "list-type=2").texts("Contents/Key")
    client.delete("key", f"versionId={marker}")
    assert b"1" == client.get("key").body


@pytest.mark.usefixtures("back")
def test_a_suspended_bucket_overwrites_its_null_version(client):
    """Versions made before stay; new ones share the id null."""
    client.bucket = "versioned"
    client.put("key", b"before")
    versioned(client)
    client.put("key", b"kept")
    versioned(client, "Suspended")
    client.put("key", b"null 1")
    client.put("key", b"null 2")
    client.delete("key")

    listed = client.get("", "versions")

    assert ["null"] == listed.texts("DeleteMarker/VersionId")
    assert 1 == len(listed.texts("Version/VersionId"))
    assert (404, "NoSuchKey") == client.get("key").outcome


@pytest.mark.usefixtures("back")
@pytest.mark.parametrize("page", [1, 2, 5])
def test_versions_are_listed_in_pages(client, page):
    """Keys in order, versions newest first, markers among them, none lost between pages."""
    versioned(client)
    expected = []
    for key in ("a", "b/1", "c"):
        ids = [client.put(key, bytes([n])).headers["x-oss-version-id"] for n in range(2)]
        ids.append(client.delete(key).headers["x-oss-version-id"])
        expected += [(key, one) for one in reversed(ids)]

    found, markers = [], ""
    while True:
        answer = client.get("", f"versions&max-keys={page}{markers}")
        both = zip(
            answer.texts("DeleteMarker/Key") + answer.texts("Version/Key"),
            answer.texts("DeleteMarker/VersionId") + answer.texts("Version/VersionId"),
            strict=True,
        )
        found += both
        if answer.text("IsTruncated") == "false":
            break
        markers = (
            f"&key-marker={quote(answer.text('NextKeyMarker'), safe='')}"
            f"&version-id-marker={answer.text('NextVersionIdMarker')}"
        )

    assert sorted(expected) == sorted(found)
    folded = client.get("", "versions&delimiter=%2F")
    assert (["b/"], 4) == (
        folded.texts("CommonPrefixes/Prefix"),
        len(folded.texts("Version/Key")),
    )
    latest = folded.texts("DeleteMarker/IsLatest")
    assert ["true", "true"] == latest


@pytest.mark.usefixtures("back")
def test_a_copy_can_name_a_version(client):
    """And says which one it read."""
    versioned(client)
    first = client.put("key", b"1").headers["x-oss-version-id"]
    client.put("key", b"2")

    source = {"x-oss-copy-source": f"/versioned/key?versionId={first}"}
    answer = client.put("copy", None, source)

    assert (first, b"1") == (
        answer.headers["x-oss-copy-source-version-id"],
        client.get("copy").body,
    )
