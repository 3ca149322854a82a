"""Bucket sub-resources with many documents by name: styles, inventories, domains, replication.

Source: help.aliyun.com, PutStyle, PutBucketInventory, PutCname, PutBucketReplication and their
relatives (read 2026-11).
"""

import base64
import binascii
import re
import secrets
from xml.etree.ElementTree import Element

from osssync.emulator import configuration_rules as rules
from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.configurations import body_of, forget, keep
from osssync.emulator.errors import OssFault
from osssync.emulator.moments import extended
from osssync.emulator.xml import document, leaf, malformed, parse, render, text_of, tree

_PAGE = 100  # inventories of one listing
_STYLE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,63}")


def _kept(call: Call, family: str) -> dict[str, str]:
    """The documents of a family by name, in order."""
    kept = call.the_bucket().configurations
    prefix = family + "/"
    return {
        name.removeprefix(prefix): kept[name] for name in sorted(kept) if name.startswith(prefix)
    }


def _missing(code: str, message: str, ec: str) -> OssFault:
    return OssFault(404, code, message, ec=ec)


# Styles


async def put_style(call: Call) -> Reply:
    """PutStyle."""
    name = call.parameter("styleName")
    content = text_of(parse(await body_of(call), "Style"), "Content")
    if not _STYLE_NAME.fullmatch(name):
        raise invalid_argument("Style name is invalid.", "styleName", name)
    if not content:
        raise invalid_argument("Style content is invalid.", "Content", content)
    created = extended(call.now_s)
    kept = tree(
        "Style",
        leaf("Name", name),
        leaf("Content", content),
        leaf("CreateTime", created),
        leaf("LastModifyTime", created),
    )
    keep(call, f"style/{name}", kept)
    return Reply()


async def get_style(call: Call) -> Reply:
    """GetStyle, ListStyle without a name."""
    styles = _kept(call, "style")
    if "styleName" not in call.query:
        return xml_reply(document(tree("StyleList", *styles.values())))
    name = call.parameter("styleName")
    if name not in styles:
        raise _missing("NoSuchStyle", "The specified style does not exist.", "0051-00000001")
    return xml_reply(document(styles[name]))


async def delete_style(call: Call) -> Reply:
    """DeleteStyle: 204 whether there was one or not."""
    forget(call, f"style/{call.parameter('styleName')}")
    return Reply(204)


# Inventories


async def put_inventory(call: Call) -> Reply:
    """PutBucketInventory."""
    root = parse(await body_of(call), "InventoryConfiguration")
    for element in root.iter():
        if element.text in {"True", "False"}:
            element.text = element.text.lower()
    rules.inventory(root)
    classes = root.find("Filter/StorageClass")
    if classes is not None:
        classes.text = ",".join(sorted((classes.text or "").split(",")))
    name = call.parameter("inventoryId")
    if name != text_of(root, "Id").strip():
        raise invalid_argument("The inventory id does not match.", "inventoryId", name)
    keep(call, f"inventory/{name}", render(root))
    return Reply()


def _no_inventory() -> OssFault:
    text = "The specified inventory configuration does not exist."
    return _missing("NoSuchInventory", text, "0054-00000001")


async def get_inventory(call: Call) -> Reply:
    """GetBucketInventory, ListBucketInventory without an id."""
    inventories = _kept(call, "inventory")
    if "inventoryId" in call.query:
        name = call.parameter("inventoryId")
        if name not in inventories:
            raise _no_inventory()
        return xml_reply(document(inventories[name]))
    if not inventories:
        raise _no_inventory()
    token = call.parameter("continuation-token")
    try:
        after = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, ValueError):
        text = "The continuation token is not valid."
        raise invalid_argument(text, "continuation-token", token) from None
    names = [name for name in inventories if name > after]
    truncated = len(names) > _PAGE
    following = base64.b64encode(names[_PAGE - 1].encode()).decode() if truncated else ""
    root = tree(
        "ListInventoryConfigurationsResult",
        *(inventories[name] for name in names[:_PAGE]),
        leaf("IsTruncated", "true" if truncated else "false"),
        leaf("ContinuationToken", token) if token else "",
        leaf("NextContinuationToken", following) if truncated else "",
    )
    return xml_reply(document(root))


async def delete_inventory(call: Call) -> Reply:
    """DeleteBucketInventory: 204 whether there was one or not."""
    forget(call, f"inventory/{call.parameter('inventoryId')}")
    return Reply(204)


# Domain names (CNAME). None can be proven to be owned here, so none is ever bound.


async def post_cname(call: Call) -> Reply:
    """CreateCnameToken, PutCname, DeleteCname, by ``comp``."""
    domain = rules.required(parse(await body_of(call), "BucketCnameConfiguration"), "Cname/Domain")
    match call.parameter("comp"):
        case "token":
            token = _token(call, domain)
            keep(call, f"cname/{domain}", token)
            return xml_reply(document(token))
        case "add":
            text = "You need to verify your domain ownership."
            raise OssFault(403, "NeedVerifyDomainOwnership", text, ec="0016-00000711")
        case "delete":
            forget(call, f"cname/{domain}")
            return Reply()
        case other:
            raise invalid_argument("The comp parameter is not valid.", "comp", other)


def _token(call: Call, domain: str) -> str:
    return tree(
        "CnameToken",
        leaf("Bucket", call.bucket),
        leaf("Cname", domain),
        leaf("Token", secrets.token_hex(16)),
        leaf("ExpireTime", extended(call.now_s + 3 * 86_400)),
    )


async def get_cname(call: Call) -> Reply:
    """ListCname, and GetCnameToken with ``comp=token``."""
    if call.parameter("comp") == "token":
        token = _kept(call, "cname").get(call.parameter("cname"))
        if token is None:
            raise _missing("CnameTokenNotFound", "The cname token is not found.", "0062-00000001")
        return xml_reply(document(token))
    root = tree("ListCnameResult", leaf("Bucket", call.bucket), leaf("Owner", call.identity.name))
    return xml_reply(document(root))


# Replication. Rules are kept and never copy anything.


async def post_replication(call: Call) -> Reply:
    """PutBucketReplication (``comp=add``) and DeleteBucketReplication (``comp=delete``)."""
    body = await body_of(call)
    if call.parameter("comp") == "delete":
        identifier = rules.required(parse(body, "ReplicationRules"), "ID")
        rule = parse(_replication_rule(call, identifier).encode())
        _set_status(rule, "closing")
        keep(call, f"replication/{identifier}", render(rule))
        return Reply()
    rule_element = parse(body, "ReplicationConfiguration").find("Rule")
    if rule_element is None:
        raise malformed()
    target = rules.required(rule_element, "Destination/Bucket")
    _check_replication(call, target)
    identifier = text_of(rule_element, "ID").strip() or secrets.token_hex(8)
    keep(call, f"replication/{identifier}", render(_completed(rule_element, identifier)))
    return Reply()


def _check_replication(call: Call, target: str) -> None:
    for text in _kept(call, "replication").values():
        if f"<Bucket>{target}</Bucket>" in text:
            message = "Bucket replication already exist."
            raise OssFault(400, "BucketReplicationAlreadyExist", message, ec="0040-00000001")


def _completed(rule: Element, identifier: str) -> Element:
    """A rule with what OSS fills in."""
    defaults = {"Action": "ALL", "HistoricalObjectReplication": "enabled"}
    for name, text in defaults.items():
        if rule.find(name) is None:
            rule.append(_element(name, text))
    selected = text_of(rule, "SourceSelectionCriteria/SseKmsEncryptedObjects/Status")
    if rule.find("SyncRole") is None:
        _drop(rule, "SourceSelectionCriteria")
    if rule.find("SyncRole") is None or selected != "Enabled":
        _drop(rule, "EncryptionConfiguration")
    _drop(rule, "ID")
    rule.insert(0, _element("ID", identifier))
    _set_status(rule, "starting")
    return rule


def _drop(parent: Element, name: str) -> None:
    child = parent.find(name)
    if child is not None:
        parent.remove(child)


def _element(name: str, text: str) -> Element:
    element = Element(name)
    element.text = text
    return element


def _set_status(rule: Element, status: str) -> None:
    _drop(rule, "Status")
    rule.append(_element("Status", status))


def _replication_rule(call: Call, identifier: str) -> str:
    rule = _kept(call, "replication").get(identifier)
    if rule is None:
        text = "The specified replication rule does not exist."
        raise _missing("NoSuchReplicationRule", text, "0040-00000021")
    return rule


async def get_replication(call: Call) -> Reply:
    """GetBucketReplication."""
    kept = _kept(call, "replication")
    if not kept:
        text = "The bucket you specified does not have replication configuration."
        raise _missing("NoSuchReplicationConfiguration", text, "0040-00000022")
    return xml_reply(document(tree("ReplicationConfiguration", *kept.values())))


async def get_replication_location(call: Call) -> Reply:
    """GetBucketReplicationLocation: the next region."""
    here = call.the_bucket().location
    there = "oss-cn-beijing" if here != "oss-cn-beijing" else "oss-cn-hangzhou"
    kinds = tree("TransferTypes", leaf("Type", "oss_acc"))
    constraint = tree("LocationTransferType", leaf("Location", there), kinds)
    root = tree(
        "ReplicationLocation",
        leaf("Location", there),
        tree("LocationTransferTypeConstraint", constraint),
    )
    return xml_reply(document(root))


async def get_replication_progress(call: Call) -> Reply:
    """GetBucketReplicationProgress: nothing moved yet, and nothing will."""
    rule = parse(_replication_rule(call, call.parameter("rule-id")).encode())
    names = ("ID", "PrefixSet", "Action", "Destination", "Status", "HistoricalObjectReplication")
    shown = [render(one) for one in rule if one.tag in names]
    shown.append(tree("Progress", leaf("HistoricalObject", "0")))
    return xml_reply(document(tree("ReplicationProgress", tree("Rule", *shown))))
