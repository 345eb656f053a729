import re
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from koalapanel import s3_url
from koalapanel.env import BASE_DIR, LONGEST_SOCKET_PATH, Environment, read_environment, store_socket
from tests.panel import environment

TABLE = (BASE_DIR / "docs" / "configuration.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", TABLE, re.MULTILINE))


def test_every_variable_has_its_line_and_every_line_its_variable():
    assert list(ROWS) == Environment.names()


def test_the_defaults_told_are_the_defaults(monkeypatch, tmp_path):
    for name in Environment.names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    environment = read_environment()

    for name, row in ROWS.items():
        value = getattr(environment, name)
        if isinstance(value, bool):
            assert row == ("`yes`" if value else "`no`"), name
        elif isinstance(value, int):
            assert row.startswith(f"`{value}`"), name
        elif isinstance(value, list):
            assert row == (f"`{','.join(value)}`" if value else "none"), name
    for name in ("BASE_URL", "EMAIL_URL", "DEFAULT_FROM_EMAIL"):
        assert f"`{getattr(environment, name)}`" in ROWS[name]
    assert f"sqlite:///{tmp_path}/db.sqlite3" == environment.DATABASE_URL
    assert f"unix://{tmp_path}/valkey.sock" == environment.REDIS_URL == environment.LIMITS_URL


def test_the_longest_var_dir_told_is_the_longest(tmp_path):
    told = int(re.search(r"At most (\d+) characters long", TABLE)[1])

    assert told == LONGEST_SOCKET_PATH - len("/valkey.sock")
    assert store_socket(tmp_path.__class__("/" + "v" * (told - 1)))


def test_made_up_secrets_are_kept_for_their_owner_alone(monkeypatch, tmp_path):
    for name in ("SECRET_KEY", "KEY_PEPPERS", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAR_DIR", str(tmp_path))

    first, second = read_environment(), read_environment()

    assert (first.SECRET_KEY, first.KEY_PEPPERS) == (second.SECRET_KEY, second.KEY_PEPPERS)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("WEB_THREADS", "many", "WEB_THREADS must be a whole number, not 'many'."),
        ("IPV6_PREFIX", "129", "IPV6_PREFIX must be from 1 to 128, not 129."),
        ("UPLOAD_MAX_BYTES", "0", "UPLOAD_MAX_BYTES must be at least 1, not 0."),
        ("KEY_PEPPERS", "secret", 'KEY_PEPPERS must look like "1:HEX,2:HEX".'),
        ("KEY_PEPPERS", "1:abcd", "KEY_PEPPERS: pepper 1 is shorter than 16 bytes."),
        ("TRUSTED_PROXIES", "10.0.0.0/40", "TRUSTED_PROXIES: '10.0.0.0/40' does not appear to be"),
        ("CONTACT_EMAIL", "nope", "CONTACT_EMAIL must be one email address, not 'nope'."),
        ("CONTACT_EMAIL", "a@example.com, b@example.com", "CONTACT_EMAIL must be one email address, not"),
        ("CONTACT_EMAIL", "Help <help@example.com>", "CONTACT_EMAIL must be one email address, not"),
        ("EMAIL_URL", "nope", "EMAIL_URL is no address of a kind we know."),
        ("DATABASE_URL", "nope", "DATABASE_URL is no address of a kind we know."),
        ("REDIS_URL", "nope", "REDIS_URL is no address of a kind we know."),
        ("LIMITS_URL", "http://cache", "LIMITS_URL is no address of a kind we know."),
        ("X_ACCEL_PREFIX", "protected", "X_ACCEL_PREFIX must begin and end with a slash, as in /protected/"),
        ("X_ACCEL_PREFIX", "/a/../b/", "X_ACCEL_PREFIX must begin and end with a slash, as in /protected/"),
        ("S3_URL", "koala-files", "S3_URL must look like s3://BUCKET, without credentials"),
        ("S3_URL", "s3://[", "S3_URL must look like s3://BUCKET."),
        ("S3_URL", "s3://KEY:SECRET@koala-files", "S3_URL must look like s3://BUCKET, without credentials"),
        ("S3_URL", "s3://koala-files/../other", "S3_URL: a prefix may have letters, digits, - and _"),
        ("S3_URL", "s3://koala-files?acl=public-read", "S3_URL takes endpoint_url, region_name, addressing_"),
        ("S3_URL", "s3://koala-files?location=x", "S3_URL takes endpoint_url, region_name, addressing_"),
        (
            "S3_URL",
            "s3://koala-files?endpoint_url=ftp://x",
            "S3_URL: endpoint_url is none that we",
        ),
        ("OIDC_SIGNING_KEY", "secret", "OIDC_SIGNING_KEY holds no private key in PEM form."),
        ("VAR_DIR", "/" + "v" * 99, "VAR_DIR is too long a path for a socket"),
    ],
)
def test_a_value_that_is_wrong_is_named(monkeypatch, tmp_path, name, value, complaint):
    told = {"VAR_DIR": str(tmp_path), "SECRET_KEY": "s", "KEY_PEPPERS": "1:" + "ab" * 32, name: value}
    for variable in Environment.names():
        monkeypatch.delenv(variable, raising=False)
    for variable, text in told.items():
        monkeypatch.setenv(variable, text)

    with pytest.raises(ImproperlyConfigured, match="^" + re.escape(complaint)):
        read_environment()


def test_a_bucket_and_nginx_cannot_both_serve_the_files(monkeypatch, tmp_path):
    told = {"VAR_DIR": str(tmp_path), "S3_URL": "s3://koala-files", "X_ACCEL_PREFIX": "/protected/"}
    for variable, text in told.items():
        monkeypatch.setenv(variable, text)

    with pytest.raises(ImproperlyConfigured, match=r"^X_ACCEL_PREFIX has nothing to hand out where S3_URL"):
        read_environment()


def test_a_bucket_without_its_packages_is_refused_with_the_command_that_helps(monkeypatch, tmp_path):
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.setenv("S3_URL", "s3://koala-files")
    monkeypatch.setattr(s3_url, "find_spec", lambda name: None)

    with pytest.raises(ImproperlyConfigured, match=r"^S3_URL needs .* run `uv sync --inexact --group s3`\.$"):
        read_environment()


def test_a_bucket_is_where_files_are_kept(tmp_path):
    told = environment(
        VAR_DIR=str(tmp_path), S3_URL="s3://koala-files/panel?endpoint_url=http://127.0.0.1:9000"
    )
    ask = "from django.core.files.storage import default_storage as files; print(files.url('out/x'))"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", ask],
        cwd=BASE_DIR,
        env=told | {"AWS_ACCESS_KEY_ID": "koala", "AWS_SECRET_ACCESS_KEY": "eucalyptus"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("http://127.0.0.1:9000/koala-files/panel/out/x?X-Amz-Algorithm=")


def test_no_secret_is_made_up_for_servers_of_ones_own(monkeypatch, tmp_path):
    for variable in Environment.names():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://cache")

    with pytest.raises(ImproperlyConfigured, match=r"^Set SECRET_KEY: with DATABASE_URL or REDIS_URL set"):
        read_environment()


def test_a_value_that_is_wrong_stops_a_command_with_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=BASE_DIR,
        env=environment(VAR_DIR=str(tmp_path), IPV6_PREFIX="129"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "Configuration: IPV6_PREFIX must be from 1 to 128, not 129.\n"


def test_what_it_makes_is_its_owners_alone(tmp_path):
    var_dir = tmp_path / "var"
    subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=BASE_DIR,
        env=environment(VAR_DIR=str(var_dir)),
        check=True,
    )
    assert var_dir.stat().st_mode & 0o777 == 0o700
    assert (var_dir / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert not (var_dir / "oidc-signing-key.pem").exists()  # nothing was signed
