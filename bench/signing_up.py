"""What bench.lanes needs beside a sender: people who sign up, one after the other, in a process of its own."""

import sys
import time

from flask import current_app

from alerts_service import create_core
from alerts_service.clock import utcnow
from alerts_service.services import subscribing
from alerts_service.services.subscribing import Asked

# Seconds between two.
_APART = 0.1


def main() -> None:
    """Let so many people ask, as fast as one in a tenth of a second."""
    with create_core().app_context():
        settings = current_app.extensions["alerts"]
        for number in range(int(sys.argv[1])):
            asked = Asked(
                address=f"new{number}@mail{number}.example",
                topics=("news",),
                frequency="weekly",
                locale="en",
                source="",
                page="/",
                wording="Send me e-alerts.",
                network="192.0.2.1",
            )
            subscribing.ask(asked, settings=settings, now=utcnow())
            time.sleep(_APART)
    print("{}")


if __name__ == "__main__":
    main()
