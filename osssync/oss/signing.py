"""The signatures of ``signature`` as oss2's own auth classes, for the verbs that go through oss2.

What oss2 asks of a ``ProviderAuth`` is one hook before a request is sent and one for links; both
are ours, so one signer stands behind every request.
"""

import oss2

from osssync.oss.signature import ClockOffset, CredentialsProvider, SignerV1, SignerV4


class SdkSignerV4(SignerV4, oss2.ProviderAuthV4):  # type: ignore[misc] # oss2 has no types
    """``oss2.ProviderAuthV4`` that signs as ``SignerV4``."""

    def __init__(self, provider: CredentialsProvider, clock_offset: ClockOffset) -> None:
        SignerV4.__init__(self, provider, clock_offset)
        oss2.ProviderAuthV4.__init__(self, provider)


class SdkSignerV1(SignerV1, oss2.ProviderAuth):  # type: ignore[misc] # oss2 has no types
    """``oss2.ProviderAuth`` that signs as ``SignerV1``."""

    def __init__(self, provider: CredentialsProvider, clock_offset: ClockOffset) -> None:
        SignerV1.__init__(self, provider, clock_offset)
        oss2.ProviderAuth.__init__(self, provider)
