"""Secrets taken out of texts, whatever form they have there."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import URL

from prisma_postgres_exporter.config import Mask
from prisma_postgres_exporter.config.masking import MASK, SHORTEST

secrets = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=SHORTEST, max_size=40)
TOKEN = "eyJhbGciOiJIUzI1NiJ9.c3ludGhldGlj.0-_1"


@given(secret=secrets, around=st.tuples(st.binary(max_size=9), st.binary(max_size=9)), is_padded=st.booleans())
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_no_bit_of_a_secret_is_left_in_base64_of_something_that_holds_it(
    encode: Callable[[bytes], bytes], secret: str, around: tuple[bytes, bytes], is_padded: bool
) -> None:
    before, after = around
    held = before + secret.encode()
    encoded = encode(held + after).decode()
    shown = Mask([secret])(encoded if is_padded else encoded.rstrip("=")).split(MASK)
    assert len(shown) > 1
    assert len(shown[0]) * 6 <= len(before) * 8
    begins_at = len(encoded.rstrip("=")) - len(shown[-1].rstrip("="))
    assert begins_at * 6 >= len(held) * 8


@given(secret=secrets)
@pytest.mark.parametrize(
    "encode",
    [
        str,
        quote,
        lambda secret: quote(secret, safe=""),
        lambda secret: quote(secret, safe="").lower() if secret.islower() else quote(secret, safe=" +"),
        quote_plus,
        lambda secret: "".join(f"%{octet:02x}" if octet > 127 else chr(octet) for octet in secret.encode()),
    ],
)
def test_a_secret_is_masked_as_it_is_and_percent_encoded(encode: Callable[[str], str], secret: str) -> None:
    assert Mask([secret])(f"<{encode(secret)}>") == f"<{MASK}>"


def test_the_password_of_a_rendered_url_is_masked() -> None:
    secret = "st#o[r]e?@:/ password+%"
    rendered = URL.create("postgresql", "me", secret, "db.example.com", database="usage")
    assert secret not in rendered.render_as_string(hide_password=False)
    assert (
        Mask([secret])(rendered.render_as_string(hide_password=False)) == f"postgresql://me:{MASK}@db.example.com/usage"
    )


@pytest.mark.parametrize("user", ["", "a", "me", "user", "admin"])
def test_the_password_of_a_basic_login_is_masked(user: str) -> None:
    header = f"Authorization: Basic {b64encode(f'{user}:{TOKEN}'.encode()).decode()}"
    shown = Mask([TOKEN])(header)
    assert shown.endswith(MASK)
    assert len(shown) < len("Authorization: Basic ***") + len(user) * 2 + 2


def test_base64_that_was_percent_encoded_is_masked() -> None:
    secret = "~~~???>>>~~~?"
    encoded = b64encode(secret.encode()).decode()
    assert {"+", "/", "="} & set(encoded)
    assert Mask([secret])(f"?key={quote(encoded, safe='')}&page=2") == f"?key={MASK}&page=2"


def test_a_secret_that_is_part_of_another_does_not_leave_its_rest() -> None:
    assert Mask(["secret", "secret-and-more"])("secret-and-more, secret") == f"{MASK}, {MASK}"


def test_what_is_no_secret_stays_and_short_ones_cut_no_words() -> None:
    text = "database db_1 of workspace wksp_1: timeout after 30 s, YWJj"
    assert Mask([TOKEN, "", "abc"])(text) == text
    assert Mask(["30 s"])(text) == "database db_1 of workspace wksp_1: timeout after ***, YWJj"
