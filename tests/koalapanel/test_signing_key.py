"""The key that signs OpenID Connect tokens: made once, or told; an unfit one is refused with a sentence."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.core.exceptions import ImproperlyConfigured

from accounts.identity import keys
from koalapanel.signing_key import FILE, checked, private_keys


def pem_of(key, form=PrivateFormat.PKCS8, lock=None):
    return key.private_bytes(Encoding.PEM, form, lock or NoEncryption()).decode()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_it_is_made_on_first_use_for_its_owner_alone(tmp_path):
    var_dir = tmp_path / "var"
    first, second = private_keys("", var_dir), private_keys("", var_dir)
    assert first == second
    assert var_dir.stat().st_mode & 0o777 == 0o700
    assert (var_dir / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in var_dir.iterdir()] == [FILE]


def test_of_many_that_make_one_at_once_all_have_the_same(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: private_keys("", tmp_path), range(4)))
    assert made == [made[0]] * 4
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_one_that_is_told_may_have_its_line_ends_written_out(key, tmp_path):
    told = pem_of(key)
    assert private_keys(told.replace("\n", "\\n"), tmp_path) == [{"pem": told.strip()}]
    assert private_keys(pem_of(key, PrivateFormat.TraditionalOpenSSL), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_first_of_several_signs_and_all_are_published(key, tmp_path, settings, client):
    newer = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    settings.IDP_OIDC_PRIVATE_KEYS = private_keys(pem_of(newer) + pem_of(key) + pem_of(key), tmp_path)
    one, two = client.get("/.well-known/jwks.json").json()["keys"]
    assert one["kid"] != two["kid"]
    header = keys.jwt.get_unverified_header(keys.sign({"sub": "1"}))
    assert header["kid"] == one["kid"]
    settings.IDP_OIDC_PRIVATE_KEYS = private_keys(pem_of(key), tmp_path)
    by_the_former = keys.sign({"sub": "1", "iss": settings.BASE_URL})
    settings.IDP_OIDC_PRIVATE_KEYS = private_keys(pem_of(newer) + pem_of(key), tmp_path)
    assert keys.claims_of_hint(by_the_former)["sub"] == "1"
    settings.IDP_OIDC_PRIVATE_KEYS = private_keys(pem_of(newer), tmp_path)
    assert keys.claims_of_hint(by_the_former) is None


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda key: "secret", "KEY holds no private key in PEM form."),
        (
            lambda key: (
                key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            ),
            "KEY holds no private key that can be read.",
        ),
        (lambda key: pem_of(key)[:300] + pem_of(key)[500:], "KEY holds no private key that can be read."),
        (
            lambda key: pem_of(key, lock=BestAvailableEncryption(b"x")),
            "KEY is encrypted: give the key without",
        ),
        (lambda key: pem_of(ec.generate_private_key(ec.SECP256R1())), "KEY must be an RSA key."),
        (
            lambda key: pem_of(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505
            "KEY must be an RSA key of at least 2048 bits, not 1024.",
        ),
    ],
)
def test_an_unfit_one_is_refused_with_a_sentence_that_does_not_quote_it(key, make, complaint):
    text = make(key)
    with pytest.raises(ImproperlyConfigured, match="^" + re.escape(complaint)) as refused:
        checked(text, "KEY")
    assert not any(line in str(refused.value) for line in text.splitlines())
    assert refused.value.__cause__ is None


def test_a_kept_one_that_is_unfit_is_named_by_its_file(tmp_path):
    (tmp_path / FILE).write_text("nothing")
    with pytest.raises(ImproperlyConfigured, match=f"{FILE} holds no private key in PEM form"):
        private_keys("", tmp_path)


def test_a_hint_of_another_issuer_is_none_of_ours(settings):
    """Whoever shares a key between two panels has two issuers."""
    assert keys.claims_of_hint(keys.sign({"sub": "1", "iss": settings.BASE_URL})) is not None
    assert keys.claims_of_hint(keys.sign({"sub": "1", "iss": "https://other.example"})) is None
