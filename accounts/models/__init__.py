from accounts.models.api_key import ApiKey
from accounts.models.tier import Tier
from accounts.models.user import User

__all__ = ["ApiKey", "Tier", "User"]
