"""Addresses below /staff/."""

from django.urls import path, register_converter

from usage.staff import (
    audit,
    endpoint_limits,
    ladder,
    overview,
    reactivations,
    replays,
    subject,
    subject_actions,
    subjects,
    tiers,
)
from usage.staff.subject_ids import SubjectConverter

register_converter(SubjectConverter, "subject")

urlpatterns = [
    path("", overview.overview, name="staff"),
    path("reactivations/", reactivations.reactivations, name="staff_reactivations"),
    path("reactivations/<int:key_pk>/", reactivations.reactivation, name="staff_reactivation"),
    path("replays/<int:pk>/", replays.replay, name="replay"),
    path("live/", overview.overview_live, name="staff_live"),
    path("subjects/", subjects.subjects, name="subjects"),
    path("subjects/<subject:subject_id>/", subject.subject, name="subject"),
    path("subjects/<subject:subject_id>/live/", subject.subject_live, name="subject_live"),
    path("subjects/<subject:subject_id>/reset/", subject_actions.reset, name="reset_counters"),
    path("subjects/<subject:subject_id>/release/", subject_actions.release, name="release_leases"),
    path("subjects/<subject:subject_id>/limits/", subject_actions.change_limits, name="change_key_limits"),
    path("subjects/<subject:subject_id>/suspend/", subject_actions.suspend, name="suspend_key"),
    path("subjects/<subject:subject_id>/reactivate/", subject_actions.reactivate, name="reactivate_subject"),
    path("subjects/<subject:subject_id>/revoke/", subject_actions.revoke, name="staff_revoke_key"),
    path("tiers/", tiers.tiers, name="staff_tiers"),
    path("tiers/<slug:slug>/", tiers.tier, name="staff_tier"),
    path("tiers/<slug:slug>/preview/", tiers.tier_preview, name="staff_tier_preview"),
    path("tiers/<slug:slug>/undo/", tiers.undo_tier, name="staff_tier_undo"),
    path("endpoint-limits/", endpoint_limits.endpoint_limits, name="staff_endpoint_limits"),
    path("endpoint-limits/<slug:name>/", endpoint_limits.endpoint_limit, name="staff_endpoint_limit"),
    path(
        "endpoint-limits/<slug:name>/preview/",
        endpoint_limits.endpoint_limit_preview,
        name="staff_endpoint_limit_preview",
    ),
    path(
        "endpoint-limits/<slug:name>/undo/",
        endpoint_limits.undo_endpoint_limit,
        name="staff_endpoint_limit_undo",
    ),
    path("ladder/", ladder.ladder, name="staff_ladder"),
    path("ladder/preview/", ladder.ladder_preview, name="staff_ladder_preview"),
    path("ladder/undo/", ladder.undo_ladder, name="staff_ladder_undo"),
    path("audit/", audit.audit, name="audit"),
    path("audit/csv/", audit.audit_csv, name="audit_csv"),
]
