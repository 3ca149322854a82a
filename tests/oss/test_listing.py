"""Pages of a listing: the fast reader against the XML parser, and pages that lie."""

import re
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.columns import Columns
from osssync.errors import IntegrityError
from osssync.model import Entry, EntryKind
from osssync.oss import listing
from osssync.oss.listing import Page, parse_page, parse_slowly
from tests.oss.stub_server import Answer

PRETTY = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult>
  <Name>examplebucket</Name>
  <Prefix>a</Prefix>
  <MaxKeys>3</MaxKeys>
  <EncodingType>url</EncodingType>
  <IsTruncated>true</IsTruncated>
  <NextContinuationToken>CgJiYw--</NextContinuationToken>
  <Contents>
        <Key>a%2F1%20%2B.txt</Key>
        <LastModified>2020-05-18T05:45:54.000Z</LastModified>
        <ETag>"35A27C2B9EAEEB6F48FD7FB5861D****"</ETag>
        <Type>Normal</Type>
        <Size>25</Size>
        <StorageClass>Standard</StorageClass>
  </Contents>
  <Contents>
        <Key>a%2Fd%2F</Key>
        <TransitionTime>2024-04-23T07:21:42.000Z</TransitionTime>
        <LastModified>2020-05-18T05:45:47.000Z</LastModified>
        <ETag>"D41D8CD98F00B204E9800998ECF8427E"</ETag>
        <Type>Symlink</Type>
        <Size>0</Size>
        <StorageClass>ColdArchive</StorageClass>
        <RestoreInfo>ongoing-request="true"</RestoreInfo>
  </Contents>
  <CommonPrefixes>
        <Prefix>a%2Fz%2F</Prefix>
  </CommonPrefixes>
  <KeyCount>3</KeyCount>
</ListBucketResult>
"""
OBJECT = """<Contents><Key>{key}</Key><LastModified>2020-05-18T05:45:54.000Z</LastModified>\
<ETag>"E"</ETag><Type>Normal</Type><Size>{size}</Size><StorageClass>Standard</StorageClass></Contents>"""


def page_of(*objects, encoding="url", tail=""):
    encoding_type = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    return (
        f"<ListBucketResult>{encoding_type}<IsTruncated>false</IsTruncated>"
        f"{''.join(objects)}{tail}</ListBucketResult>"
    ).encode()


def one(key, size=1):
    return OBJECT.format(key=key, size=size)


def test_a_page_as_oss_prints_it_is_read():
    """Keys decoded, times, classes, common prefixes and the way on."""
    page = parse_page(PRETTY.encode())

    assert page == Page(
        entries=Columns.of(
            (
                Entry(
                    "a/1 +.txt",
                    25,
                    1589780754_000_000_000,
                    EntryKind.FILE,
                    '"35A27C2B9EAEEB6F48FD7FB5861D****"',
                    "Standard",
                ),
                Entry(
                    "a/d/",
                    0,
                    1589780747_000_000_000,
                    EntryKind.FILE,
                    '"D41D8CD98F00B204E9800998ECF8427E"',
                    "ColdArchive",
                    listing.SYMLINK,
                ),
            )
        ),
        prefixes=("a/z/",),
        next_token="CgJiYw--",
    )


def test_the_fast_reader_takes_the_pages_of_oss(monkeypatch):
    """Pretty-printed or not, the XML parser never sees the objects."""
    monkeypatch.setattr(listing, "parse_slowly", lambda _body: pytest.fail("fell back"))

    owner = "<Owner><ID>1</ID><DisplayName>1</DisplayName></Owner></Contents>"
    pretty = parse_page(PRETTY.encode())
    dense = parse_page(re.sub(r">\s+<", "><", PRETTY).encode())
    owned = parse_page(PRETTY.replace("</Contents>", owner).encode())

    assert pretty == dense == owned
    assert PRETTY.count("<Contents>") == len(pretty.entries)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: re.sub(r"(<ETag>.*</ETag>)(\s*<Type>.*</Type>)", r"\2\1", text),
        lambda text: text.replace("<Size>25</Size>", "<Size>25</Size><New>1</New>"),
        lambda text: text.replace('"35A', "&quot;35A"),
        lambda text: text.replace('"35A', "&#34;35A"),
        lambda text: text.replace("Standard", "St&#97;ndard"),
        lambda text: text.replace("Normal", "N&#111;rmal"),
        lambda text: text.replace("a%2F1%20", "a%2f1%20"),
        lambda text: text.replace("<ListBucketResult>", '<ListBucketResult xmlns="http://x/">'),
        lambda text: text.replace("</Contents>", "</Contents><!-- <Contents> -->", 1),
        lambda text: text.replace("a%2F1%20%2B.txt", "<![CDATA[a%2F1 %2B.txt]]>"),
        lambda text: text.replace("<Size>25</Size>", "<Size>25</Size><Owner><ID>1</ID></Owner>"),
    ],
)  # fmt: skip
def test_unexpected_pages_are_read_all_the_same(change):
    """Another order, new elements, entities, namespaces, comments: the same entries."""
    changed = change(PRETTY)

    assert changed != PRETTY
    assert parse_page(changed.encode()) == parse_page(PRETTY.encode())


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(keys, st.integers(0, 1 << 45)), max_size=5), st.booleans())
def test_both_readers_agree(rows, truncated):
    """Any keys and sizes: the page of the fast reader is the page of the parser."""
    tail = f"<KeyCount>{len(rows)}</KeyCount>"
    body = page_of(*(one(quote(key, safe=""), size) for key, size in rows), tail=tail)
    if truncated:
        body = body.replace(
            b"<IsTruncated>false</IsTruncated>",
            b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
        )

    page = parse_page(body)

    assert page == parse_slowly(body)
    assert [(entry.key, entry.size) for entry in page.entries] == rows
    assert page.next_token == ("t" if truncated else "")


def test_an_empty_object_whose_key_ends_in_a_slash_is_a_directory():
    """One with bytes in it is a file."""
    page = parse_page(page_of(one("d%2F", 0), one("e%2F", 7)))

    assert [entry.kind for entry in page.entries] == [EntryKind.DIRECTORY, EntryKind.FILE]


def test_a_key_that_is_not_utf8_is_unusable_and_stops_nothing():
    """Its neighbours are listed; the entry says why it is not transferred."""
    page = parse_page(page_of(one("a"), one(quote_from_bytes(b"b\xff\xfe")), one("c")))

    assert [entry.key for entry in page.entries] == ["a", "b\udcff\udcfe", "c"]
    assert page.entries[1].kind is EntryKind.UNUSABLE
    assert page.entries[1].note == listing.NOT_UTF8


def test_a_server_that_encodes_nothing_is_read_literally():
    """Without <EncodingType> a "%41" in a key is three characters."""
    page = parse_page(page_of(one("%41+b"), encoding=""))

    assert page.entries[0].key == "%41+b"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<html></html>",
        PRETTY[:-30].encode(),
        PRETTY[: PRETTY.index("</Contents>")].encode(),
        PRETTY.replace("<KeyCount>3", "<KeyCount>4").encode(),
        PRETTY.replace("CgJiYw--", "").encode(),
        PRETTY.replace("<Size>25<", "<Size>-25<").encode(),
        PRETTY.replace("2020-05-18T05:45:54.000Z", "yesterday").encode(),
        PRETTY.replace("2020-05-18T05:45:54.000Z", "2020-05-18").encode(),
    ],
)
def test_pages_cut_short_or_contradicting_themselves_are_errors(server, bucket, body):
    """Half a listing must never look like a whole one: a delete may follow it."""
    server.answers(Answer(body=body))

    with pytest.raises(IntegrityError, match="list oss://bucket/a"):
        bucket.list_page("a")


def test_only_what_is_asked_for_is_sent(server, bucket):
    """Empty parameters stay at home; the page size is OSS's largest."""
    server.answers(Answer(body=page_of()))

    bucket.list_page("")
    bucket.list_page("a b/", delimiter="/", token="t+/=", start_after="a b/c", limit=7)

    assert [seen.target for seen in server.requests] == [
        "/bucket/?list-type=2&encoding-type=url&max-keys=1000",
        (
            "/bucket/?list-type=2&encoding-type=url&max-keys=7&prefix=a%20b%2F&delimiter=%2F"
            "&continuation-token=t%2B%2F%3D&start-after=a%20b%2Fc"
        ),
    ]
