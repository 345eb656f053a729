"""Results handed out by nginx: what the panel tells it, and what it makes of that by our configuration."""

import re
from ipaddress import ip_network

import pytest
import requests
from django.core.files.base import ContentFile
from django.test import Client

from accounts.client_address import client_address
from images import downloads, serving
from images.models import Download
from tests.images.calls import make_job
from tests.nginx import HOST, NGINX, Nginx

CONTENT = b"RIFF a koala in a gum tree"

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def served_by_nginx(settings, store):
    """The settings of a panel that has nginx hand out its files, where nginx may read them."""
    settings.X_ACCEL_PREFIX = "/protected/"
    options = {"file_permissions_mode": 0o640, "directory_permissions_mode": 0o750}
    files = settings.STORAGES["default"]
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**files, "OPTIONS": {**files["OPTIONS"], **options}},
    }


@pytest.fixture
def job(served_by_nginx):
    job = make_job(None, "done", output_bytes=len(CONTENT))
    job.result.save("", ContentFile(CONTENT))
    downloads.grant(job)
    return job


@pytest.fixture
def path(job, settings):
    return downloads.address(job).url.removeprefix(settings.BASE_URL)


class TestWithoutNginx:
    def test_the_answer_names_the_file_and_carries_none_of_it(self, path, job):
        answer = Client().get(path)
        assert answer.status_code == 200
        assert answer.content == b""
        assert answer["X-Accel-Redirect"] == f"/protected/out/{job.pk}-0"
        assert answer["Content-Type"] == "image/webp"
        assert answer["Cache-Control"] == "no-store"
        assert Download.objects.get().uses_left == 9

    def test_a_name_that_nginx_would_read_otherwise_is_quoted(self, path, job):
        job.result.save("", ContentFile(CONTENT))
        odd = job.result.storage.save("out/a?b%2e#c\r\nd", ContentFile(CONTENT))
        type(job).objects.update(result=odd)
        named = Client().get(path)["X-Accel-Redirect"]
        assert re.fullmatch(r"/protected/out/[\w.%-]+", named)

    @pytest.mark.parametrize("name", ["../secrets.json", "/etc/passwd", "out/../../secrets.json"])
    def test_a_name_that_leads_out_of_the_files_is_refused(self, path, job, name):
        type(job).objects.update(result=name)
        answer = Client(raise_request_exception=False).get(path)
        assert answer.status_code in (400, 410)
        assert not answer.has_header("X-Accel-Redirect")
        assert Download.objects.get().uses_left == 10

    def test_a_file_that_was_removed_takes_no_use(self, path, job):
        job.result.storage.delete(job.result.name)
        assert Client().get(path).status_code == 410
        assert Download.objects.get().uses_left == 10

    def test_files_are_readable_for_the_group_and_nobody_else(self, job, settings):
        file = settings.VAR_DIR / "files" / job.result.name
        assert file.stat().st_mode & 0o777 == 0o640
        assert file.parent.stat().st_mode & 0o777 == 0o750


@pytest.mark.skipif(NGINX is None, reason="there is no nginx on this machine")
class TestNginx:
    @pytest.fixture
    def nginx(self, live_server, settings, tmp_path):
        """An nginx with our configuration in front of the panel."""
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, HOST]
        with Nginx(tmp_path, settings.VAR_DIR / "files", live_server.url) as nginx:
            yield nginx

    def test_it_sends_the_file_with_all_the_headers_of_our_own_answer(
        self, nginx, path, settings, live_server
    ):
        served = nginx.get(path)
        assert (served.status_code, served.content) == (200, CONTENT)
        settings.X_ACCEL_PREFIX = ""
        own = requests.get(live_server.url + path, timeout=5)
        assert own.content == CONTENT
        changing = {"Date", "Server", "Connection", "X-RateLimit-Remaining", "RateLimit", "X-RateLimit-Reset"}
        told = {name: value for name, value in own.headers.items() if name not in changing}
        assert {name: served.headers.get(name) for name in told} == told
        assert served.headers["X-RateLimit-Remaining"]
        assert served.headers["RateLimit"]
        assert "X-Accel-Redirect" not in served.headers

    def test_each_file_takes_one_use_and_a_look_takes_none(self, nginx, path):
        assert nginx.head(path).headers["Content-Length"] == str(len(CONTENT))
        assert [nginx.get(path).content for _ in range(10)] == [CONTENT] * 10
        assert nginx.get(path).status_code == 410
        assert Download.objects.get().uses_left == 0

    @pytest.mark.parametrize(
        "headers",
        [
            {"Range": "bytes=0-3"},
            {"If-Modified-Since": "Fri, 31 Dec 2999 00:00:00 GMT"},
            {"If-None-Match": '"koala"'},
        ],
        ids=lambda headers: next(iter(headers)),
    )
    def test_a_use_gives_the_whole_file(self, nginx, path, headers):
        served = nginx.get(path, headers=headers)
        assert (served.status_code, served.content) == (200, CONTENT)

    @pytest.mark.parametrize("prefix", ["/protected/", "/%70rotected/", "/x/../protected/", "//protected//"])
    def test_nobody_gets_at_a_file_from_outside(self, nginx, job, prefix):
        assert nginx.raw("GET", f"{prefix}out/{job.pk}-0")[0] == 404

    def test_no_log_has_the_token(self, nginx, path):
        nginx.get(path)
        nginx.get(path + "0")
        nginx.get("/api/v1/conversions?signature=x")
        nginx.stop()
        token = path.split("?")[0].rpartition("/")[2]
        logged = nginx.access_log.read_text()
        assert re.findall('"GET (.*)" ([0-9]+)', logged) == [
            ("/api/v1/downloads/-", "200"),
            ("/api/v1/downloads/-", "404"),
            ("/api/v1/conversions", "200"),
        ]
        assert token not in logged
        assert "signature" not in logged

    @pytest.mark.parametrize(
        ("path", "size", "status"),
        [
            ("/api/v1/convert", 27 * 1024**2, 413),
            ("/convert", 27 * 1024**2, 413),
            ("/api/v1/batch", 1252 * 1024**2, 413),
        ],
    )
    def test_a_body_that_is_too_large_is_refused_in_the_apis_words(self, nginx, path, size, status):
        answered, body = nginx.raw("POST", path, {"Content-Length": str(size)})
        assert answered == status
        assert body["code" if path.startswith("/api") else "error"] == "image_too_large"

    def test_plain_http_leads_to_https(self, nginx):
        answer = requests.get(
            nginx.plain + "/api/v1/conversions", headers={"Host": HOST}, allow_redirects=False, timeout=5
        )
        assert answer.headers["Location"] == f"https://{HOST}/api/v1/conversions"

    def test_the_client_is_who_nginx_says_and_not_who_it_says_itself(
        self, nginx, path, settings, monkeypatch
    ):
        settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
        clients = []
        monkeypatch.setattr(serving, "charge", lambda name, meta: clients.append(str(client_address(meta))))
        nginx.raw("GET", path, {"X-Forwarded-For": "203.0.113.7"}, source="127.0.0.2")
        assert clients == ["127.0.0.2"]
