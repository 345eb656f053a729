"""The OpenAPI document: complete, and true of a panel that runs."""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from ninja import Schema
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from images import schemas as images_schemas
from images.drawings import draw
from images.models import Job, WebhookDelivery
from images.queue import attempts
from images.webhooks.events import body_of
from koalapanel.env import BASE_DIR
from tests.images.calls import submit
from tests.images.test_routes import OPERATIONS
from tests.panel import Up
from usage import schemas as usage_schemas

ST = Path(sys.executable).with_name("st")
PROBLEM = "application/problem+json"
# Left out: `use_after_free`, because a job that was cancelled can still be asked for.
# A request that is right by the document may be refused for what is in its files or for its webhook's host;
# and one that is wrong, for a limit before anybody looks at it.
CONFIGURATION = """
hooks = "tests.images.schemathesis_hooks"

request-timeout = 60

[cache]
enabled = false

[checks]
use_after_free.enabled = false
positive_data_acceptance.expected-statuses = [
  "2xx", "302", "400", "404", "409", "410", "413", "415", "422", "429"
]
negative_data_rejection.expected-statuses = ["400", "404", "405", "413", "415", "422", "429"]
"""
A_DOWNLOAD = """
[[operations]]
include-path = "/api/v1/downloads/{{token}}"
parameters = {{ "path.token" = "{}", "query.expires" = "{}", "query.signature" = "{}" }}
"""


@pytest.fixture
def document(api):
    answer = api.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.usefixtures("store")
class TestTheDocument:
    def test_lists_every_operation_but_itself(self, document):
        listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        expected = {
            (method, path.replace("job_x", "{job_id}").replace("downloads/x", "downloads/{token}"))
            for method, path in OPERATIONS
        }
        assert document["openapi"].startswith("3.1")
        assert listed == expected - {("GET", "/api/v1/openapi.json")}

    @pytest.mark.parametrize(
        ("path", "needed", "more"),
        [
            ("/api/v1/convert", {"file", "output_format"}, {"quality", "width", "height", "async"}),
            ("/convert", {"file", "targetFormat"}, {"quality", "width", "height", "async"}),
            ("/api/v1/compress", {"file"}, {"quality", "target_bytes", "async"}),
            ("/compress", {"file"}, {"quality", "target_bytes", "async"}),
            ("/api/v1/batch", {"files", "output_format"}, {"quality", "width", "height"}),
        ],
    )
    def test_describes_the_form_as_the_route_takes_it(self, document, path, needed, more):
        operation = document["paths"][path]["post"]
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["properties"].keys() == needed | more | {"webhook_url"}
        assert set(form["required"]) == needed

    def test_names_each_operation_once(self, document):
        names = [
            operation["operationId"]
            for methods in document["paths"].values()
            for operation in methods.values()
        ]
        assert len(names) == len(set(names))

    def test_is_valid(self, document):
        OpenAPIV31SpecValidator(document).validate()

    def test_describes_every_schema_and_each_of_its_fields(self, document):
        for name, schema in document["components"]["schemas"].items():
            assert schema.get("description") or "enum" in schema, name
            for field, told in schema.get("properties", {}).items():
                assert told.get("description") or "$ref" in told, f"{name}.{field}"
        for path, methods in document["paths"].items():
            for operation in methods.values():
                assert operation["description"], path
                form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {})
                for field, told in form.get("schema", {}).get("properties", {}).items():
                    assert told.get("description"), f"{path} {field}"
                assert all(parameter["description"] for parameter in operation.get("parameters", []))

    def test_takes_no_schema_for_another_of_the_same_name(self):
        # ninja would show one of them in both places.
        models = [
            model
            for module in (images_schemas, usage_schemas)
            for model in vars(module).values()
            if isinstance(model, type) and issubclass(model, Schema) and model is not Schema
        ]
        assert len({model.__name__ for model in models}) == len(set(models))

    def test_says_which_refusals_a_route_gives(self, document):
        given = document["paths"]["/api/v1/convert"]["post"]["responses"].keys()
        assert {"200", "202", "400", "401", "413", "415", "422", "429", "503"} <= given


@pytest.mark.usefixtures("store")
class TestAnEvent:
    @pytest.mark.parametrize("content", [draw(1, (30, 20), "png"), b"no image"], ids=["done", "failed"])
    def test_is_as_the_document_has_it(self, api, document, content):
        job = submit(api, content, webhook_url="https://koala.example.com/hook")
        attempts.work()
        delivery = WebhookDelivery.objects.get(job=job)
        schema = {"$ref": "#/components/schemas/Event", "components": document["components"]}
        event = json.loads(body_of(delivery, Job.objects.get(pk=job.pk)))
        OAS31Validator(schema).validate(event)
        assert event["type"] in document["webhooks"]
        assert event["data"].keys() == document["components"]["schemas"]["JobState"]["properties"].keys()


@dataclass
class Tried:
    """What schemathesis said, and each request it made: method, path, status."""

    said: str
    passed: bool
    requests: Counter

    def statuses(self, method: str, path: str) -> set[int]:
        return {status for (one, where, status) in self.requests if (one, where) == (method, path)}


class Panel:
    def __init__(self, up: Up, folder: Path) -> None:
        self.up, self.folder = up, folder
        self.url = up.wait_until_ready()

    def issue_key(self, *more: str) -> str:
        boundless = [f"{kind}=1000000" for kind in ("minute", "day", "concurrent", "parallel", "queued")]
        options = [option for limit in boundless for option in ("--limit", limit)]
        command = [sys.executable, "manage.py", "issue_key", "carla@example.com", *options, *more]
        printed = subprocess.run(
            command, cwd=BASE_DIR, env=self.up.told, capture_output=True, text=True, check=True
        )
        return printed.stdout.strip()

    def try_all(self, *options: str, headers: dict[str, str], **more: str) -> Tried:
        """Run schemathesis against every route."""
        configuration, har = self.folder / "schemathesis.toml", self.folder / "requests.har"
        configuration.write_text(CONFIGURATION + self._a_download(headers))
        command = [
            *(str(ST), "--config-file", str(configuration), "run", f"{self.url}/api/v1/openapi.json"),
            *("--url", self.url, "--seed", "1", "--no-color", "--continue-on-failure"),
            *("--generation-database", "none", "--report", "har", "--report-har-path", str(har)),
            *(part for name, value in headers.items() for part in ("-H", f"{name}: {value}")),
            *options,
        ]
        told = self.up.told | {"DJANGO_SETTINGS_MODULE": "koalapanel.settings", "PYTHONPATH": str(BASE_DIR)}
        done = subprocess.run(command, cwd=BASE_DIR, env=told, capture_output=True, text=True)
        return Tried(done.stdout + done.stderr, done.returncode == 0, _requests_of(har))

    def _a_download(self, headers: dict[str, str]) -> str:
        """The address of a result, which nothing but an answer gives."""
        files, form = {"file": draw(1, (24, 16), "png")}, {"output_format": "webp"}
        made = requests.post(
            f"{self.url}/api/v1/convert", files=files, data=form, headers=headers, timeout=60
        ).json()
        (parts,) = re.findall(r"downloads/(.+)\?expires=(.+)&signature=(.+)", made["download_url"])
        return A_DOWNLOAD.format(*parts)


def _requests_of(har: Path) -> Counter:
    return Counter(
        (
            entry["request"]["method"],
            re.sub(r"^https?://[^/]+|\?.*", "", entry["request"]["url"]),
            entry["response"]["status"],
        )
        for entry in json.loads(har.read_text())["log"]["entries"]
    )


@pytest.fixture(scope="module")
def panel(new_database) -> Iterator[Panel]:
    with tempfile.TemporaryDirectory(prefix="koala-openapi-") as path:
        told = {"WORKER_PROCESSES": "2", "JOB_WAIT_SECONDS": "5", "LIMITS_TIMEOUT_MS": "1000"}
        with Up(Path(path) / "var", database=new_database(), **told) as up:
            yield Panel(up, Path(path))


class TestAPanelThatRuns:
    """schemathesis asks for everything, rightly and wrongly, and holds every answer against the document."""

    @pytest.mark.once
    def test_it_answers_a_key_as_documented(self, panel):
        tried = panel.try_all("--max-examples", "3", headers={"X-Api-Key": panel.issue_key()})
        assert tried.passed, tried.said
        for path in ("/api/v1/convert", "/convert", "/api/v1/compress", "/compress"):
            assert {200, 400} <= tried.statuses("POST", path)
        assert {202, 400} <= tried.statuses("POST", "/api/v1/batch")

    @pytest.mark.once
    def test_it_answers_a_guest_over_the_limit_with_documented_problems(self, panel):
        options = ("--max-examples", "3", "--phases", "examples,fuzzing")
        tried = panel.try_all(*options, headers={"Accept": PROBLEM})
        assert tried.passed, tried.said
        assert 429 in {status for (_, _, status) in tried.requests}

    @pytest.mark.long
    @pytest.mark.timeout(600)
    @pytest.mark.parametrize(
        "more", [{}, {"X-Koala-Rehearse": "queue.limit_exceeded"}], ids=["free", "refused"]
    )
    def test_it_answers_a_rehearsal_key_as_documented(self, panel, more):
        headers = {"X-Api-Key": panel.issue_key("--rehearsal")} | more
        tried = panel.try_all("--max-examples", "5", headers=headers)
        assert tried.passed, tried.said
        assert {429 if more else 200} <= tried.statuses("POST", "/api/v1/convert")

    @pytest.mark.long
    @pytest.mark.timeout(3600)
    @pytest.mark.parametrize("accept", ["*/*", PROBLEM])
    def test_it_answers_as_documented_whatever_is_asked(self, panel, accept):
        headers = {"X-Fast-Api-Key": panel.issue_key(), "Accept": accept}
        tried = panel.try_all("--max-examples", "100", headers=headers)
        print(tried.said)  # noqa: T201  (how many there were)
        assert tried.passed, tried.said
