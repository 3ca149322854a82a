"""Live channels: their configuration. The emulator takes no RTMP, so none is ever live.

Source: help.aliyun.com, "LiveChannel operations" (read 2026-11).
"""

from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.configurations import body_of, forget, keep
from osssync.emulator.errors import OssFault
from osssync.emulator.moments import extended
from osssync.emulator.xml import document, leaf, parse, render, text_of, tree

_PREFIX = "live/"  # of the names under which a bucket keeps its channels
_STATUSES = frozenset({"enabled", "disabled"})


def _channel(call: Call) -> str:
    text = call.the_bucket().configurations.get(_PREFIX + call.key)
    if text is None:
        message = "The Channel specified does not exist."
        extra = {"LiveChannel": call.key}
        raise OssFault(404, "NoSuchLiveChannel", message, ec="0044-00000101", extra=extra)
    return text


def _urls(call: Call, playlist: str) -> tuple[str, str]:
    host = f"{call.bucket}.{call.headers.get('host', call.host).removeprefix(call.bucket + '.')}"
    publish = tree("PublishUrls", leaf("Url", f"rtmp://{host}/live/{call.key}"))
    play = tree("PlayUrls", leaf("Url", f"http://{host}/{call.key}/{playlist}"))
    return publish, play


async def put_channel(call: Call) -> Reply:
    """PutLiveChannel: made or replaced."""
    root = parse(await body_of(call), "LiveChannelConfiguration")
    target = {
        name: text_of(root, f"Target/{name}").strip() or default
        for name, default in (
            ("Type", "HLS"),
            ("FragDuration", "5"),
            ("FragCount", "3"),
            ("PlaylistName", "playlist.m3u8"),
        )
    }
    if target["Type"] != "HLS":
        raise invalid_argument("The target type is not valid.", "Type", target["Type"])
    status = text_of(root, "Status").strip() or "enabled"
    _check_status(status)
    kept = tree(
        "LiveChannel",
        leaf("Description", text_of(root, "Description")),
        leaf("Status", status),
        tree("Target", *(leaf(name, text) for name, text in target.items())),
        leaf("LastModified", extended(call.now_s)),
    )
    keep(call, _PREFIX + call.key, kept)
    publish, play = _urls(call, target["PlaylistName"])
    return xml_reply(document(tree("CreateLiveChannelResult", publish, play)))


def _check_status(status: str) -> None:
    if status not in _STATUSES:
        raise invalid_argument("The status is not valid.", "status", status)


async def get_channel(call: Call) -> Reply:
    """GetLiveChannelInfo, GetLiveChannelStat and GetLiveChannelHistory, by ``comp``."""
    root = parse(_channel(call).encode())
    match call.parameter("comp"):
        case "stat":
            disabled = text_of(root, "Status") == "disabled"
            status = leaf("Status", "Disabled" if disabled else "Idle")
            return xml_reply(document(tree("LiveChannelStat", status)))
        case "history":
            return xml_reply(document(tree("LiveChannelHistory")))
        case "":
            shown = ("Description", "Status", "Target")
            children = [render(one) for one in root if one.tag in shown]
            return xml_reply(document(tree("LiveChannelConfiguration", *children)))
        case other:
            raise invalid_argument("The comp parameter is not valid.", "comp", other)


async def put_status(call: Call) -> Reply:
    """PutLiveChannelStatus."""
    status = call.parameter("status")
    _check_status(status)
    root = parse(_channel(call).encode())
    element = root.find("Status")
    if element is not None:
        element.text = status
    keep(call, _PREFIX + call.key, render(root))
    return Reply()


async def delete_channel(call: Call) -> Reply:
    """DeleteLiveChannel: 204 whether there was one or not."""
    forget(call, _PREFIX + call.key)
    return Reply(204)


async def list_channels(call: Call) -> Reply:
    """ListLiveChannel, by name."""
    prefix, marker = call.parameter("prefix"), call.parameter("marker")
    limit = call.number("max-keys", 100, 1, 1000)
    kept = call.the_bucket().configurations
    names = sorted(
        name
        for name in (one.removeprefix(_PREFIX) for one in kept if one.startswith(_PREFIX))
        if name.startswith(prefix) and name > marker
    )
    truncated = len(names) > limit
    root = tree(
        "ListLiveChannelResult",
        leaf("Prefix", prefix),
        leaf("Marker", marker),
        leaf("MaxKeys", limit),
        leaf("IsTruncated", "true" if truncated else "false"),
        leaf("NextMarker", names[limit - 1] if truncated else ""),
        *(_listed(call, name, kept[_PREFIX + name]) for name in names[:limit]),
    )
    return xml_reply(document(root))


def _listed(call: Call, name: str, text: str) -> str:
    root = parse(text.encode())
    host = call.headers.get("host", call.host)
    playlist = text_of(root, "Target/PlaylistName")
    return tree(
        "LiveChannel",
        leaf("Name", name),
        leaf("Description", text_of(root, "Description")),
        leaf("Status", text_of(root, "Status")),
        leaf("LastModified", text_of(root, "LastModified")),
        tree("PublishUrls", leaf("Url", f"rtmp://{call.bucket}.{host}/live/{name}")),
        tree("PlayUrls", leaf("Url", f"http://{call.bucket}.{host}/{name}/{playlist}")),
    )


async def no_recording(call: Call) -> Reply:
    """PostVodPlaylist and GetVodPlaylist: nothing was ever recorded."""
    message = "No ts file found in specified time span."
    raise invalid_argument(message, "startTime", call.parameter("startTime"))
