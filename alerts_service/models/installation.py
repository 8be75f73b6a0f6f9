"""What this database remembers of the installation it was made for."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base

# Since when sign-ups are stopped, and why; since when there are more of them than usual.
SIGN_UPS_STOPPED, SIGN_UP_SURGE = "sign_ups_stopped", "sign_up_surge"


class Fact(Base):
    """A named fact, such as the permanent key's fingerprint or the domain of Message-IDs."""

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))
