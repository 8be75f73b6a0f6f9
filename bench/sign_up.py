"""Signing up under load, beside a Flask view that only inserts one row with the raw driver.

    python -m bench.sign_up [--quick] [--database sqlite|postgresql]

16 clients post the form over kept connections, each as soon as it is answered, every time with a new address;
both sites run under the same gunicorn, two processes of four threads.
"""

import contextlib
import itertools
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import quote

from bench import installations, load
from bench.installations import NAMES, Installation
from bench.load import Load
from bench.measuring import Table, interleaved, median, options, publish, quantile
from bench.processes import free_port, running

_CLIENTS = 16
_SECONDS, _QUICK_SECONDS, _WARM_UP_SECONDS = 5.0, 0.5, 1.0
_HEADINGS = ("database", "sign-ups", "bare inserts", "ratio", "sign-up p50", "sign-up p99", "bare p99")
_ABOUT = f"""
## Signing up under load

`POST /subscribe` by {_CLIENTS} clients at once against two gunicorn processes of four threads, on the machine that
also runs the clients and the database. A sign-up checks the form, takes its turn, and commits the request, its consent
record and the confirmation mail; the reference is a Flask view that commits one row.
Must: half its rate, p99 within 40 ms; aim: 0.8 ×.
"""


def measure(kind: str, rounds: int, seconds: float) -> list[str]:
    """Return the row of one database."""
    with installations.installation(kind) as site, _sites(site) as ports:
        numbers = itertools.count()
        for port in ports.values():
            _drive(port, numbers, min(seconds, _WARM_UP_SECONDS))
        found = interleaved(rounds, {name: partial(_drive, port, numbers, seconds) for name, port in ports.items()})
    if any(each.wrong for loads in found.values() for each in loads):
        raise AssertionError("a request was not answered as it should be")
    rates = {name: median(each.rate for each in loads) for name, loads in found.items()}
    return [
        NAMES[kind],
        f"{rates['ours']:,.0f}/s",
        f"{rates['bare']:,.0f}/s",
        f"**{rates['ours'] / rates['bare']:.2f} ×**",
        _milliseconds(found["ours"], 0.5),
        _milliseconds(found["ours"], 0.99),
        _milliseconds(found["bare"], 0.99),
    ]


@contextlib.contextmanager
def _sites(site: Installation) -> Iterator[Mapping[str, int]]:
    """Run both sites and give their ports."""
    gunicorn = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-class", "gthread"]
    alike = ["--threads", "4", "--workers", "2"]
    ports = {"ours": free_port(), "bare": free_port()}
    commands = {
        "ours": [*gunicorn, *alike, "--bind", f"127.0.0.1:{ports['ours']}", "alerts_service:create_app()"],
        "bare": [*gunicorn, *alike, "--bind", f"127.0.0.1:{ports['bare']}", "bench.bare_view:app"],
    }
    with contextlib.ExitStack() as stack:
        for name, command in commands.items():
            log = site.folder / f"{name}.log"
            stack.enter_context(running(command, port=ports[name], environment=site.environment, log=log))
        yield ports


def _drive(port: int, numbers: Iterator[int], seconds: float) -> Load:
    block = next(numbers)

    def fields(number: int) -> str:
        address = quote(f"reader{number}of{block}@mail{number % 400}.example")
        return f"email={address}&topics=idd&topics=dementia&frequency=weekly&source=&lang=en"

    return load.drive(port, load.form("/subscribe", fields), clients=_CLIENTS, seconds=seconds)


def _milliseconds(loads: list[Load], share: float) -> str:
    return f"{1000 * median(quantile(each.latencies, share) for each in loads):.0f} ms"


def main() -> None:
    """Measure both databases and write the table."""
    chosen = options(__doc__).parse_args()
    rounds, seconds = (1, _QUICK_SECONDS) if chosen.quick else (chosen.rounds, _SECONDS)
    kinds = [kind for kind in installations.KINDS if chosen.database in {None, kind}]
    rows = [measure(kind, rounds, seconds) for kind in kinds]
    publish("sign-up", [_ABOUT, *Table(_HEADINGS, rows).lines()], chosen.page)


if __name__ == "__main__":
    main()
