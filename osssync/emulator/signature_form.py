"""Who signed this PostObject form?

Source: OSS API reference, "PostObject" and "POST V4 signature" (help.aliyun.com, read 2026-11).
"""

from collections.abc import Mapping

from osssync.emulator import moments, signature_v1, signature_v4
from osssync.emulator.authority import ANONYMOUS, Authority, Identity
from osssync.emulator.signature_checks import (
    believed_credential,
    check_day,
    compare,
    invalid_date,
    malformed,
    read_credential,
)

_SIGNING_FIELDS = frozenset(
    {
        "ossaccesskeyid",
        "policy",
        "signature",
        "x-oss-credential",
        "x-oss-signature",
        "x-oss-signature-version",
    }
)


def authenticate_form(
    fields: Mapping[str, str], authority: Authority, *, region: str, now_s: float
) -> Identity:
    """Find out who signed the policy of a PostObject form.

    Args:
        fields: the form's fields but the file, under their names in lower case.
        authority: who may sign.
        region: the server's; V4 signatures must name it.
        now_s: the server's clock, epoch seconds.

    Returns:
        The signer; an anonymous identity if the form has neither policy nor signature. What the
        policy demands is not looked at.

    Raises:
        OssFault: a signature that OSS would refuse.
    """
    if _SIGNING_FIELDS.isdisjoint(fields):
        return ANONYMOUS
    policy = fields.get("policy")
    if not policy:
        raise malformed("The policy form field is missing.", "0002-00000702")
    token = fields.get("x-oss-security-token", "")
    if "x-oss-signature-version" not in fields:
        access_key_id = fields.get("ossaccesskeyid", "")
        credential = believed_credential(authority, access_key_id, token, now_s)
        expected = signature_v1.sign(credential.access_key_secret, policy)
        compare(credential, expected, fields.get("signature", ""), policy, "0002-00000705")
        return authority.identity(credential)
    if fields["x-oss-signature-version"] != signature_v4.ALGORITHM:
        raise malformed("Invalid x-oss-signature-version.", "0002-00000066")
    access_key_id, scope = read_credential(
        fields.get("x-oss-credential", ""), region, "0002-00000709"
    )
    time_line = fields.get("x-oss-date", "")
    sent_s = moments.parse_basic(time_line)
    if sent_s is None:
        raise invalid_date(time_line)
    check_day(scope, sent_s)
    credential = believed_credential(authority, access_key_id, token, now_s)
    expected = signature_v4.sign(credential.access_key_secret, scope, policy)
    compare(credential, expected, fields.get("x-oss-signature", ""), policy, "0002-00000705")
    return authority.identity(credential)
