"""The nouns: one a file, SQLAlchemy 2 typed. Models know no use case.

Importing this package maps them all, which migrations and relationships need.
"""

from alerts_service.models.consent import Consent, Wording
from alerts_service.models.delivery import AT_ONCE, IS_PENDING, IS_SENDING, Delivery, DeliveryState, Lane, MailKind
from alerts_service.models.digest import Digest, DigestUpdate, Drop
from alerts_service.models.edition import REMINDER, CoveredFrequency, Edition, Turnstile
from alerts_service.models.host import Host
from alerts_service.models.installation import SIGN_UP_SURGE, SIGN_UPS_STOPPED, Fact
from alerts_service.models.own_data import AddressChange, FreshLink, LeaveReason
from alerts_service.models.rate import RELAY, Rate
from alerts_service.models.signup import SignUp, SignUpTopic
from alerts_service.models.subscriber import Subscriber
from alerts_service.models.subscription import CatchUp, Subscription
from alerts_service.models.suppression import Suppression
from alerts_service.models.tally import MATCHED, Tally, UpdateTally
from alerts_service.models.topic import Category, Topic
from alerts_service.models.update import Update, UpdateTopic

__all__ = [
    "AT_ONCE",
    "IS_PENDING",
    "IS_SENDING",
    "MATCHED",
    "RELAY",
    "REMINDER",
    "SIGN_UPS_STOPPED",
    "SIGN_UP_SURGE",
    "AddressChange",
    "CatchUp",
    "Category",
    "Consent",
    "CoveredFrequency",
    "Delivery",
    "DeliveryState",
    "Digest",
    "DigestUpdate",
    "Drop",
    "Edition",
    "Fact",
    "FreshLink",
    "Host",
    "Lane",
    "LeaveReason",
    "MailKind",
    "Rate",
    "SignUp",
    "SignUpTopic",
    "Subscriber",
    "Subscription",
    "Suppression",
    "Tally",
    "Topic",
    "Turnstile",
    "Update",
    "UpdateTally",
    "UpdateTopic",
    "Wording",
]
