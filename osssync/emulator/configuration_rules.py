"""What the documents of bucket sub-resources may say. Each rule takes the parsed root element.

A rule raises ``OssFault``: MalformedXML for a document of another shape, InvalidArgument, with the
name and value of the culprit, for a value OSS refuses.
Source: help.aliyun.com, PutBucketCors, PutBucketLifecycle, PutBucketWebsite, PutBucketReferer,
PutBucketEncryption, PutBucketInventory, PutBucketTags, PutBucketQosInfo (read 2026-11).
"""

import re
from xml.etree.ElementTree import Element

from osssync.emulator.attributes import check_tags
from osssync.emulator.buckets import RESOURCE_GROUP
from osssync.emulator.call import invalid_argument
from osssync.emulator.errors import OssFault
from osssync.emulator.records import ARCHIVE_CLASSES
from osssync.emulator.xml import malformed, text_of

_METHODS = frozenset({"GET", "PUT", "DELETE", "POST", "HEAD"})
_STATUSES = frozenset({"Enabled", "Disabled"})
_BOOLEANS = frozenset({"true", "false"})
_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\dT00:00:00(\.000)?Z")
_TRANSITION_CLASSES = ARCHIVE_CLASSES | {"IA"}
_MAX_RULES = {"CORS": 20, "Lifecycle": 1000, "Tags": 20}


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
    if len(rules) > _MAX_RULES["CORS"]:
        text = "The CORS Rules num is beyond limit"
        raise OssFault(400, "CORSRuleBeyondLimit", text, ec="0034-00000005")
    for rule in rules:
        origins = [one.text or "" for one in rule.findall("AllowedOrigin")]
        methods = [one.text or "" for one in rule.findall("AllowedMethod")]
        headers = [one.text or "" for one in rule.findall("AllowedHeader")]
        if not origins or not methods:
            raise malformed()
        for method in methods:
            if method not in _METHODS:
                raise invalid_argument("Invalid AllowedMethod.", "AllowedMethod", method)
        for name, values in (("AllowedOrigin", origins), ("AllowedHeader", headers)):
            for value in values:
                if value.count("*") > 1:
                    raise invalid_argument(f"Too many wildcards in {name}.", name, value)
        whole(rule, "MaxAgeSeconds")


def lifecycle(root: Element) -> None:
    """Rules with an id of their own, a status and at least one thing to do."""
    rules = root.findall("Rule")
    if not 1 <= len(rules) <= _MAX_RULES["Lifecycle"]:
        raise malformed()
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        identifier = text_of(rule, "ID").strip()
        if not identifier:
            identifier = f"rule-{number + 1}"
            _set(rule, "ID", identifier)
        if len(identifier) > 255 or identifier in seen:
            raise invalid_argument("Rule ID must be unique.", "ID", identifier)
        seen.add(identifier)
        one_of(rule, "Status", _STATUSES)
        _lifecycle_actions(rule)
        _lifecycle_tags(rule)


def _set(parent: Element, name: str, text: str) -> None:
    """Give a child a text; it is made as the first one if it is not there."""
    child = parent.find(name)
    if child is None:
        child = Element(name)
        parent.insert(0, child)
    child.text = text


def _lifecycle_actions(rule: Element) -> None:
    moments = ("Days", "Date", "CreatedBeforeDate", "ExpiredObjectDeleteMarker")
    actions = [one for one in rule if one.tag.endswith(("Expiration", "Transition", "Upload"))]
    if not actions:
        raise malformed()
    for action in actions:
        noncurrent = action.tag.startswith("NoncurrentVersion")
        given = [one for one in moments if action.find(one) is not None]
        if not noncurrent and len(given) != 1:
            raise malformed()
        whole(action, "NoncurrentDays" if noncurrent else "Days", 1, 2_147_483_647)
        for name in ("Date", "CreatedBeforeDate"):
            text = action.findtext(name)
            if text is not None and not _MIDNIGHT.fullmatch(text.strip()):
                raise invalid_argument("Date must be at midnight GMT.", name, text)
        if action.tag.endswith("Transition"):
            one_of(action, "StorageClass", _TRANSITION_CLASSES)


def _lifecycle_tags(rule: Element) -> None:
    tags = tuple((text_of(tag, "Key"), text_of(tag, "Value")) for tag in rule.findall("Tag"))
    try:
        check_tags(tags)
    except OssFault as fault:
        raise invalid_argument(fault.message, "Tag", "") from fault


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


def referer(root: Element) -> None:
    """A list, and whether requests without a Referer pass."""
    one_of(root, "AllowEmptyReferer", _BOOLEANS)
    for name, default in (("AllowTruncateQueryString", "true"), ("TruncatePath", "false")):
        if root.find(name) is None:
            _set(root, name, default)
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


def tagging(root: Element) -> None:
    """Tags of a bucket: up to 20, keys of 1 to 64 characters, values of up to 128."""
    if root.find("TagSet") is None:
        raise malformed()
    tags = [(text_of(tag, "Key"), text_of(tag, "Value")) for tag in root.iter("Tag")]
    if len(tags) > _MAX_RULES["Tags"]:
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
        _set(root, "BlockPublicAccess", "false")
    one_of(root, "BlockPublicAccess", _BOOLEANS)


def https(root: Element) -> None:
    """TLS versions, and whether the list is in force."""
    one_of(root, "TLS/Enable", _BOOLEANS)
    versions = {one.text for one in root.findall("TLS/TLSVersion")}
    if not versions <= {"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"}:
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
