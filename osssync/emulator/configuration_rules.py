"""What the documents of bucket sub-resources may say. Each rule takes the parsed root element.

A rule raises ``OssFault``: MalformedXML for a document of another shape, InvalidArgument, with the
name and value of the culprit, for a value OSS refuses.
Source: help.aliyun.com, PutBucketCors, PutBucketWebsite, PutBucketReferer,
PutBucketEncryption, PutBucketInventory, PutBucketTags, PutBucketQosInfo (read 2026-11).
"""

import re
from xml.etree.ElementTree import Element

from osssync.emulator.buckets import RESOURCE_GROUP
from osssync.emulator.call import invalid_argument
from osssync.emulator.errors import OssFault
from osssync.emulator.xml import malformed, text_of

_METHODS = frozenset({"GET", "PUT", "DELETE", "POST", "HEAD"})
_STATUSES = frozenset({"Enabled", "Disabled"})
_BOOLEANS = frozenset({"true", "false"})
_MAX_CORS_RULES = 20
_MAX_BUCKET_TAGS = 20


def required(element: Element, path: str) -> str:
    """The text of an element that must be there and not be empty."""
    text = text_of(element, path).strip()
    if not text:
        raise malformed()
    return text


def one_of(element: Element, path: str, allowed: frozenset[str], *, optional: bool = False) -> str:
    """The text of an element that must be one of a few words."""
    text = text_of(element, path).strip()
    if (optional and not text) or text in allowed:
        return text
    raise malformed()


def whole(element: Element, path: str, low: int = 0, high: int = 999_999_999) -> int | None:
    """The number in an element, None if it is not there."""
    text = element.findtext(path)
    if text is None:
        return None
    stripped = text.strip()
    if not re.fullmatch(r"-?[0-9]{1,18}", stripped) or not low <= int(stripped) <= high:
        raise invalid_argument(f"Invalid {path}.", path, stripped)
    return int(stripped)


def anything(root: Element) -> None:
    """No rule beyond the name of the root element."""


def cors(root: Element) -> None:
    """Rules with origins and methods; at most one wildcard in a value."""
    rules = root.findall("CORSRule")
    if not rules:
        raise malformed()
    if len(rules) > _MAX_CORS_RULES:
        text = "The CORS Rules num is beyond limit"
        raise OssFault(400, "CORSRuleBeyondLimit", text, ec="0034-00000005")
    for rule in rules:
        methods = _values(rule, "AllowedMethod")
        if not methods or not _values(rule, "AllowedOrigin"):
            raise malformed()
        for method in methods:
            if method not in _METHODS:
                raise invalid_argument("Invalid AllowedMethod.", "AllowedMethod", method)
        _values(rule, "AllowedHeader")
        whole(rule, "MaxAgeSeconds")
    if not text_of(root, "ResponseVary").strip():
        put_text(root, "ResponseVary", "false")


def _values(rule: Element, name: str) -> list[str]:
    """All values of a name, none of them with two wildcards."""
    values = [one.text or "" for one in rule.findall(name)]
    for value in values:
        if value.count("*") > 1:
            raise invalid_argument(f"Too many wildcards in {name}.", name, value)
    return values


def put_text(parent: Element, name: str, text: str) -> None:
    """Give a child a text; it is made as the first one if it is not there."""
    child = parent.find(name)
    if child is None:
        child = Element(name)
        parent.insert(0, child)
    child.text = text


def website(root: Element) -> None:
    """An index document, an error document, or routing rules."""
    index, error = root.find("IndexDocument"), root.find("ErrorDocument")
    if index is None and error is None and root.find("RoutingRules") is None:
        raise malformed()
    if index is not None:
        suffix = text_of(index, "Suffix")
        if not suffix or "/" in suffix:
            raise invalid_argument("The IndexDocument Suffix is not valid.", "Suffix", suffix)
    if error is not None:
        required(error, "Key")
    for redirect in root.findall("RoutingRules/RoutingRule/Redirect"):
        passes = redirect.find("MirrorPassQueryString")
        if text_of(redirect, "RedirectType") == "Mirror" and passes is not None:
            put_text(redirect, "PassQueryString", passes.text or "false")


def referer(root: Element) -> None:
    """A list, and whether requests without a Referer pass."""
    one_of(root, "AllowEmptyReferer", _BOOLEANS)
    for name, default in (("AllowTruncateQueryString", "true"), ("TruncatePath", "false")):
        if root.find(name) is None:
            put_text(root, name, default)
    if root.find("RefererList") is None:
        root.append(Element("RefererList"))


def encryption(root: Element) -> None:
    """A default algorithm; a key only with KMS."""
    default = root.find("ApplyServerSideEncryptionByDefault")
    if default is None:
        raise malformed()
    algorithm = text_of(default, "SSEAlgorithm")
    if algorithm not in {"AES256", "KMS", "SM4"}:
        text = "The Encryption Method you specified is not valid."
        raise OssFault(400, "InvalidEncryptionAlgorithmError", text, ec="0016-00000103")
    if algorithm != "KMS" and text_of(default, "KMSMasterKeyID"):
        text = "KMSMasterKeyID is not applicable if the default sse algorithm is not KMS"
        raise invalid_argument(text, "KMSMasterKeyID", text_of(default, "KMSMasterKeyID"))
    useless = default.find("KMSDataEncryption")
    if algorithm != "KMS" and useless is not None:
        default.remove(useless)


def tagging(root: Element) -> None:
    """Tags of a bucket: up to 20, keys of 1 to 64 characters, values of up to 128."""
    if root.find("TagSet") is None:
        raise malformed()
    tags = [(text_of(tag, "Key"), text_of(tag, "Value")) for tag in root.iter("Tag")]
    if len(tags) > _MAX_BUCKET_TAGS:
        text = "Bucket tags cannot be greater than 20"
        raise OssFault(400, "InvalidTag", text, ec="0024-00000003")
    keys = [key for key, _ in tags]
    for key, value in tags:
        if not 1 <= len(key) <= 64 or len(value) > 128 or keys.count(key) > 1:
            text = "The TagKey you have provided is invalid"
            raise OssFault(400, "InvalidTag", text, ec="0024-00000001", extra={"TagKey": key})


def payment(root: Element) -> None:
    """Who pays."""
    one_of(root, "Payer", frozenset({"BucketOwner", "Requester"}))


def enabled(root: Element) -> None:
    """A switch: ``Enabled`` is true or false."""
    one_of(root, "Enabled", _BOOLEANS)


def status(root: Element) -> None:
    """A switch: ``Status`` is Enabled or Disabled."""
    one_of(root, "Status", _STATUSES)


def access_block(root: Element) -> None:
    """A switch: ``BlockPublicAccess`` is true or false; without a word, false."""
    if not text_of(root, "BlockPublicAccess").strip():
        put_text(root, "BlockPublicAccess", "false")
    one_of(root, "BlockPublicAccess", _BOOLEANS)


_TLS_VERSIONS = frozenset({"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"})


def https(root: Element) -> None:
    """TLS versions, and whether the list is in force."""
    wanted = one_of(root, "TLS/Enable", _BOOLEANS)
    tls = root.find("TLS")
    elements = root.findall("TLS/TLSVersion")
    seen: set[str] = set()
    for element in elements:
        version = (element.text or "").strip()
        if version not in _TLS_VERSIONS:
            raise malformed()
        if version in seen and tls is not None:
            tls.remove(element)
        seen.add(version)
    if wanted == "true" and not seen:
        raise malformed()


_QOS_NAMES = tuple(
    f"{net}{direction}"
    for direction in ("UploadBandwidth", "DownloadBandwidth", "Qps")
    for net in ("Total", "Intranet", "Extranet")
)
QOS_LIMIT = 10  # Gbit/s, of the account: what GetUserQosInfo answers


def qos(root: Element) -> None:
    """Limits within the account's; -1, also where nothing is said, is none."""
    for direction in ("UploadBandwidth", "DownloadBandwidth", "Qps"):
        account = QOS_LIMIT if direction != "Qps" else 999_999_999
        total = whole(root, f"Total{direction}", -1, account)
        for net in ("Intranet", "Extranet"):
            high = account if total in {None, -1} else total
            whole(root, f"{net}{direction}", -1, high or 0)
    for name in _QOS_NAMES:
        if root.find(name) is None:
            child = Element(name)
            child.text = "-1"
            root.append(child)


def capacity(root: Element) -> None:
    """Bytes a bucket may hold; -1 is no limit."""
    if whole(root, "StorageCapacity", -1, 1 << 50) is None:
        raise malformed()


def inventory(root: Element) -> None:
    """An id, a destination bucket, a schedule."""
    required(root, "Id")
    one_of(root, "IsEnabled", _BOOLEANS)
    one_of(root, "Schedule/Frequency", frozenset({"Daily", "Weekly"}))
    one_of(root, "IncludedObjectVersions", frozenset({"All", "Current"}))
    required(root, "Destination/OSSBucketDestination/Bucket")
    one_of(root, "Destination/OSSBucketDestination/Format", frozenset({"CSV"}))


def resource_group(root: Element) -> None:
    """A group of this account, which has one."""
    group = required(root, "ResourceGroupId")
    if group != RESOURCE_GROUP:
        text = f"The resource group {group} does not exist."
        raise OssFault(400, "ResourceGroupIdPreCheckError", text, ec="0069-00000201")
