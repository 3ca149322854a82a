"""OSS signature version 1: what is signed, and the HMAC-SHA1 over it. Decides nothing.

Source: OSS API reference, "Include a V1 signature in the Authorization header" and "Include a V1
signature in a URL" (help.aliyun.com, read 2026-11).
"""

import base64
import hmac
from collections.abc import Iterable, Mapping

from osssync.emulator.wire import Parameter, WireRequest

_NAMES = """
accessPoint accessPointPolicy acl append asyncFetch bucketArchiveDirectRead bucketInfo callback
callback-var cloudboxes cname comp continuation-token cors delete encryption endTime group
httpsConfig img inventory inventoryId lifecycle link live location logging metaQuery objectInfo
objectMeta partNumber policy position publicAccessBlock qos qosInfo qosRequester
redundancyTransition referer regionList replication replicationLocation replicationProgress
requestPayment requesterQosInfo resourceGroup resourcePool resourcePoolBuckets resourcePoolInfo
response-cache-control response-content-disposition response-content-encoding
response-content-language response-content-type response-expires responseHeader restore rtc
security-token sequential startTime stat status style styleName symlink tagging
transferAcceleration udf udfApplication udfApplicationLog udfId udfImage udfImageDesc udfName
uploadId uploads versionId versioning versions vod website withHashContext worm wormExtend
wormId x-oss-ac-forward-allow x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id
x-oss-access-point-name x-oss-async-process x-oss-enable-md5 x-oss-enable-sha1
x-oss-enable-sha256 x-oss-hash-ctx x-oss-md5-ctx x-oss-process
x-oss-redundancy-transition-taskid x-oss-request-payer x-oss-target-redundancy-type
x-oss-traffic-limit x-oss-write-get-object-response
"""
SUB_RESOURCES = frozenset(_NAMES.split())
"""Query parameters that V1 signs; all others, such as ``prefix``, it does not protect."""


def string_to_sign(
    request: WireRequest, headers: Mapping[str, str], query: Iterable[Parameter], time_line: str
) -> str:
    """The text whose HMAC is the signature.

    ``time_line`` is the Date of a signed header or the Expires of a signed link.
    """
    signed = "".join(
        f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-oss-")
    )
    return (
        f"{request.method}\n{headers.get('content-md5', '')}\n{headers.get('content-type', '')}\n"
        f"{time_line}\n{signed}{resource(request.bucket, request.key, query)}"
    )


def resource(bucket: str, key: str, query: Iterable[Parameter]) -> str:
    """CanonicalizedResource: decoded path and decoded sub-resources, in order of their names."""
    path = f"/{bucket}/{key}" if bucket else "/"
    signed = sorted((one.name, one.value) for one in query if one.name in SUB_RESOURCES)
    joined = "&".join(f"{name}={value}" if value else name for name, value in signed)
    return f"{path}?{joined}" if joined else path


def sign(secret: str, text: str) -> str:
    """Base64 of HMAC-SHA1."""
    digest = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    return base64.b64encode(digest).decode()
