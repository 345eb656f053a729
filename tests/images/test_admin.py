"""Jobs in Django's admin: looked at, and deleted by whoever may, which is written down."""

import pytest

from accounts.models import AuditEntry, User
from images.models import Job
from images.models.job import ID_LENGTH
from tests.admin_pages import change_page, delete_page

pytestmark = pytest.mark.django_db


def test_a_deleted_job_is_in_the_audit_log(client):
    client.force_login(User.objects.create_superuser("root@example.com", "correct horse battery"))
    job_id = "job_41" + "x" * (ID_LENGTH - 2)
    job = Job.objects.create(pk=job_id, subject_id="ip:192.0.2.7", output_format="webp", input_bytes=17)
    page = client.get(change_page(job)).content.decode()
    assert "ip:192.0.2.7" in page
    assert "As read" not in page
    assert client.post(delete_page(job), {"post": "yes"}).status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target_id, entry.before["input_bytes"]) == ("deleted", job.pk, 17)
