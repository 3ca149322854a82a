"""The pure pieces of the store: sorted keys, contents, ranges, addresses, XML."""

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.emulator import ranges, xml
from osssync.emulator.addressing import resolve
from osssync.emulator.blobs import Content
from osssync.emulator.errors import OssFault
from osssync.emulator.sorted_keys import SortedKeys

keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@given(st.lists(st.tuples(st.booleans(), keys)), keys, st.booleans())
def test_sorted_keys_are_a_sorted_set(steps, start, inclusive):
    """Adding, dropping and walking agree with a plain sorted list, in UTF-8 byte order."""
    ours, theirs = SortedKeys(), set()
    for added, key in steps:
        (ours.add if added else ours.discard)(key)
        (theirs.add if added else theirs.discard)(key)

    expected = sorted(theirs, key=lambda key: key.encode())
    find = bisect.bisect_left if inclusive else bisect.bisect_right

    assert len(expected) == len(ours)
    assert expected[find(expected, start) :] == list(ours.walk(start, inclusive=inclusive))


def test_sorted_keys_stay_sorted_across_many_chunks():
    """Splitting and emptying chunks loses nothing."""
    ours = SortedKeys()
    names = [f"{number * 7919 % 20_000:05}" for number in range(20_000)]
    for name in names:
        ours.add(name)
    for name in names[::2]:
        ours.discard(name)

    assert sorted(names[1::2]) == list(ours.walk())


@given(st.lists(st.binary(max_size=6), max_size=6), st.data())
def test_a_slice_of_a_content_is_the_slice_of_its_bytes(pieces, data):
    """Slicing extents is slicing bytes, wherever the cuts fall."""
    whole = b"".join(pieces)
    content = Content.join(Content.of(piece) for piece in pieces)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))

    assert whole[start:stop] == content.slice(start, stop).read()


@pytest.mark.parametrize(
    ("header", "standard", "expected"),
    [
        ("", False, None),
        ("bytes=0-4", False, (0, 5)),
        ("bytes=3-", False, (3, 10)),
        ("bytes=-4", False, (6, 10)),
        ("bytes=9-9", False, (9, 10)),
        ("bytes=5-20", False, None),  # leaves the object: the whole of it
        ("bytes=10-20", False, None),
        ("bytes=-20", False, None),
        ("bytes=5-3", False, None),
        ("bytes=0-1,3-4", False, None),
        ("lines=0-4", False, None),
        ("bytes=-", False, None),
        ("bytes=5-20", True, (5, 10)),
        ("bytes=-20", True, (0, 10)),
        ("bytes=0-4", True, (0, 5)),
        ("lines=0-4", True, None),
    ],
)
def test_a_range_is_what_oss_makes_of_it(header, standard, expected):
    """Of 10 bytes: by default a range beyond the object is ignored, with ``standard`` clipped."""
    assert expected == ranges.resolve(header, 10, standard=standard)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_standard_range_beyond_the_object_is_416(header):
    """Nothing of the object is meant, so nothing can be sent."""
    with pytest.raises(OssFault) as caught:
        ranges.resolve(header, 10, standard=True)

    assert (416, "InvalidRange") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        ("/b/k", "127.0.0.1:9000", ("b", "k", "")),
        ("/b/a%2Fb", "127.0.0.1", ("b", "a/b", "")),
        ("/b//k", "[::1]:9000", ("b", "/k", "")),
        ("/b/../k?x=/y", "localhost:9000", ("b", "../k", "")),
        ("/b", "emulator", ("b", "", "")),
        ("/", "127.0.0.1", ("", "", "")),
        ("/k%3Fq", "b.oss-cn-hangzhou.aliyuncs.com", ("b", "k?q", "cn-hangzhou")),
        ("/k", "b.oss-cn-hangzhou-internal.aliyuncs.com:80", ("b", "k", "cn-hangzhou")),
        ("/k", "b.cn-hangzhou.oss.aliyuncs.com", ("b", "k", "cn-hangzhou")),
        ("/k", "b.oss-accelerate.aliyuncs.com", ("b", "k", "")),
        ("/?prefix=a", "oss-cn-beijing.aliyuncs.com", ("", "", "cn-beijing")),
        ("/k", "b.localhost:9000", ("b", "k", "")),
        ("/k", "b.oss.test", ("b", "k", "")),
        ("/b/k", "oss.test", ("b", "k", "")),
        ("http://b.oss-cn-hangzhou.aliyuncs.com/a%2Fb", "proxy", ("b", "a/b", "cn-hangzhou")),
        ("http://127.0.0.1:9000/b/k?x", "proxy", ("b", "k", "")),
    ],
)
def test_an_address_is_read_from_host_and_target(target, host, expected):
    """Path-style on IPs and unknown names, virtual-hosted on OSS's and the given ones."""
    address = resolve(target, host, ("oss.test",))

    assert expected == (address.bucket, address.key, address.region)


def test_a_bucket_in_the_path_of_oss_itself_is_refused():
    """OSS wants buckets as third-level domains; only IPs and own domains take paths."""
    with pytest.raises(OssFault) as caught:
        resolve("/bucket/key", "oss-cn-hangzhou.aliyuncs.com", ())

    assert (403, "SecondLevelDomainForbidden") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("character", ["\x0b", "\x01", "\x1f", "\x0c"])
@pytest.mark.parametrize("written", ["&#x{0:X};", "&#{0};", "{1}"])
def test_xml_takes_characters_that_xml_does_not_have(character, written):
    """Control characters arrive by reference or raw, and mean themselves."""
    body = f"<Delete><Key>a{written.format(ord(character), character)}b</Key></Delete>"

    assert f"a{character}b" == xml.parse(body.encode()).findtext("Key")


@pytest.mark.parametrize(
    "body", [b"", b"<a>", b"<a></b>", b"<!DOCTYPE a><a/>", b"\xff<a/>", b"<b/>"]
)
def test_xml_that_is_not_what_was_asked_for_is_malformed(body):
    """Anything but a document with the right root gets MalformedXML, entities included."""
    with pytest.raises(OssFault) as caught:
        xml.parse(body, "a")

    assert (400, "MalformedXML") == (caught.value.status, caught.value.code)


def test_namespaces_are_dropped_and_text_is_escaped():
    """What comes with a namespace reads without one; what is written needs none."""
    root = xml.parse(b'<a xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com"><b>x &lt; y</b></a>', "a")

    assert "<a><b>x &lt; y</b></a>" == xml.render(root)
