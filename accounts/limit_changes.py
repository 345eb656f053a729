"""What staff change of limits: a tier as a whole, an endpoint limit as a whole."""

from accounts.changing import ChangeableRow
from accounts.models import EndpointLimit, Tier
from accounts.tiers import LIMIT_KINDS

TIER = ChangeableRow(Tier, ("name", "description", *LIMIT_KINDS))
ENDPOINT_LIMIT = ChangeableRow(EndpointLimit, ("requests", "seconds"))
