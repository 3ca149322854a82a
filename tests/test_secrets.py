"""The search for leaked secrets at the end of the suite finds them, wherever they stand."""

import secrets

from hypothesis import given
from hypothesis import strategies as st

from tests.leaks import Secrets


def test_a_planted_secret_is_found(emulator):
    """A secret of an emulator, or anything that looks like one of its tokens, is a leak."""
    issued = emulator.authority.current()
    secret, token = issued.access_key_secret.encode(), issued.security_token.encode()

    assert {secret} == Secrets({secret, b"another"}).leaks_in(
        b"GET /x AccessKeySecret=%s\n" % secret
    )
    assert {token} == Secrets(set()).leaks_in(b"token=%s" % token)
    assert set() == Secrets({secret, b"another"}).leaks_in(
        b"key id %s" % issued.access_key_id.encode()
    )


@given(
    st.binary(max_size=70),
    st.binary(max_size=30),
    st.text("aZ09-_", max_size=60),
    st.text("aZ09-_", max_size=60),
)
def test_a_secret_is_found_wherever_it_stands(before, after, prefix, suffix):
    """At any place, between any neighbours, also those that secrets are made of."""
    secret = secrets.token_urlsafe(33).encode()
    text = b"".join((before, prefix.encode(), secret, suffix.encode(), after))

    assert {secret} == Secrets({secret, secrets.token_urlsafe(33).encode()}).leaks_in(text)


@given(st.binary(max_size=50), st.sampled_from([b"short", b"with a space " * 5, b"x" * 60]))
def test_a_secret_of_another_shape_is_found(before, secret):
    """One that a test has made up."""
    assert {secret} == Secrets({secret}).leaks_in(before + secret + b"!")
