"""What bench.scale needs first, in a process of its own: hosts, named by their state folders, join an installation."""

import dataclasses
import json
import sys
from pathlib import Path

from alerts_service import create_core
from alerts_service.clock import utcnow
from alerts_service.db import db
from alerts_service.services import fencing


def main() -> None:
    """Let the first host begin, and the others join: each has to see it renew between two looks of its own."""
    app = create_core()
    with app.app_context():
        first, *others = [
            dataclasses.replace(app.extensions["alerts"], state_dir=Path(folder)) for folder in sys.argv[1:]
        ]
        for settings in (first, *others, first, *others):
            fencing.idle(settings, clock=utcnow())
        db.session.remove()
        db.engine.dispose()
    print(json.dumps(len(others) + 1))


if __name__ == "__main__":
    main()
