"""Addresses below /staff/."""

from django.urls import path, register_converter

from usage.staff import audit, overview, subject, subject_actions, subjects
from usage.staff.subject_ids import SubjectConverter

register_converter(SubjectConverter, "subject")

urlpatterns = [
    path("", overview.overview, name="staff"),
    path("subjects/", subjects.subjects, name="subjects"),
    path("subjects/<subject:subject_id>/", subject.subject, name="subject"),
    path("subjects/<subject:subject_id>/live/", subject.subject_live, name="subject_live"),
    path("subjects/<subject:subject_id>/reset/", subject_actions.reset, name="reset_counters"),
    path("subjects/<subject:subject_id>/release/", subject_actions.release, name="release_leases"),
    path("subjects/<subject:subject_id>/limits/", subject_actions.change_limits, name="change_key_limits"),
    path("subjects/<subject:subject_id>/suspend/", subject_actions.suspend, name="suspend_key"),
    path("subjects/<subject:subject_id>/reactivate/", subject_actions.reactivate, name="reactivate_subject"),
    path("subjects/<subject:subject_id>/revoke/", subject_actions.revoke, name="staff_revoke_key"),
    path("audit/", audit.audit, name="audit"),
    path("audit/csv/", audit.audit_csv, name="audit_csv"),
]
