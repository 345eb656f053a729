from usage.models.counter_reset import CounterReset
from usage.models.escalation_policy import EscalationPolicy, EscalationStep
from usage.models.escalation_state import EscalationEvent, EscalationState
from usage.models.notice import Notice
from usage.models.rate_hit import RateHit
from usage.models.reactivation_request import ReactivationRequest
from usage.models.replay import Replay
from usage.models.task_run import TaskRun
from usage.models.totals import HitTotal, TopSubject, UsageTotal
from usage.models.usage import UsageDay, UsageHour, UsageMinute
from usage.models.watermarks import BookedUntil, FollowedUntil, TotalledUntil

__all__ = [
    "BookedUntil",
    "CounterReset",
    "EscalationEvent",
    "EscalationPolicy",
    "EscalationState",
    "EscalationStep",
    "FollowedUntil",
    "HitTotal",
    "Notice",
    "RateHit",
    "ReactivationRequest",
    "Replay",
    "TaskRun",
    "TopSubject",
    "TotalledUntil",
    "UsageDay",
    "UsageHour",
    "UsageMinute",
    "UsageTotal",
]
