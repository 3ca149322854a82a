"""The search for leaked secrets at the end of the suite can find something."""

from tests.conftest import leaks_in


def test_a_planted_secret_is_found(emulator):
    """A secret of an emulator, or anything that looks like one of its tokens, is a leak."""
    issued = emulator.authority.current()
    log = f"GET /x AccessKeySecret={issued.access_key_secret}\n".encode()

    assert leaks_in(log, {issued.access_key_secret.encode()})
    assert leaks_in(f"token={issued.security_token}".encode(), set())
    assert not leaks_in(f"key id {issued.access_key_id}".encode(), {b"another"})
