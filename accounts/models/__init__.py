from accounts.models.api_key import ApiKey
from accounts.models.audit_entry import AuditEntry
from accounts.models.contact_message import ContactMessage
from accounts.models.endpoint_limit import EndpointLimit
from accounts.models.key_secret import KeySecret
from accounts.models.letter import Letter
from accounts.models.tier import Tier
from accounts.models.user import User

__all__ = ["ApiKey", "AuditEntry", "ContactMessage", "EndpointLimit", "KeySecret", "Letter", "Tier", "User"]
