"""What we take from an Internet-Draft: its number and problem types, in one place until it is an RFC.

Source: draft-ietf-httpapi-ratelimit-headers-11, "RateLimit header fields for HTTP".
"""

DRAFT = "draft-ietf-httpapi-ratelimit-headers-11"

_TYPES = "https://iana.org/assignments/http-problem-types#"
QUOTA_EXCEEDED = _TYPES + "quota-exceeded"
ABNORMAL_USAGE_DETECTED = _TYPES + "abnormal-usage-detected"
TEMPORARY_REDUCED_CAPACITY = _TYPES + "temporary-reduced-capacity"

CONCURRENT_UNIT = "concurrent-requests"
