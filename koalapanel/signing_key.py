"""The private keys that sign OpenID Connect tokens: from the environment, or made once under `VAR_DIR`.

The first signs. Those after it are former ones, whose public halves stay published, so that what they signed
can still be verified.
"""

import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.core.exceptions import ImproperlyConfigured

from koalapanel.made_once import made_once

FILE = "oidc-signing-key.pem"
LEAST_BITS = 2048

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


def private_keys(told: str, var_dir: Path) -> list[dict[str, str]]:
    """As `IDP_OIDC_PRIVATE_KEYS` wants them: `told` is `OIDC_SIGNING_KEY`, empty for the ones kept in a file.

    Raises `ImproperlyConfigured` if the file holds no such key.
    """
    path = var_dir / FILE
    text, name = (told, "OIDC_SIGNING_KEY") if told else (made_once(path, _make), str(path))
    return [{"pem": pem} for pem in checked(text, name)]


def checked(text: str, name: str) -> list[str]:
    r"""The keys in `text`, one PEM block each; line ends may be written `\n`.

    Raises `ImproperlyConfigured` with a sentence that calls the text `name`, and doesn't quote it.
    """
    blocks = [found[0] for found in _BLOCK.finditer(text.replace("\\n", "\n"))]
    if not blocks:
        raise ImproperlyConfigured(f"{name} holds no private key in PEM form.")
    for block in blocks:
        try:
            key = load_pem_private_key(block.encode(), password=None)
        except TypeError:
            raise ImproperlyConfigured(f"{name} is encrypted: give the key without a passphrase.") from None
        except (ValueError, UnsupportedAlgorithm):
            raise ImproperlyConfigured(f"{name} holds no private key that can be read.") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ImproperlyConfigured(f"{name} must be an RSA key.")
        if key.key_size < LEAST_BITS:
            raise ImproperlyConfigured(
                f"{name} must be an RSA key of at least {LEAST_BITS} bits, not {key.key_size}."
            )
    return list(dict.fromkeys(blocks))


def _make() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=LEAST_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
