"""`python -m bench [options of every bench]`: all of them, one after the other."""

import subprocess
import sys
import time

_BENCHES = ("send", "scale", "lanes", "compile", "sign_up", "questions", "fill")


def main() -> None:
    """Run every bench in a process of its own, so that none inherits another's memory."""
    started = time.perf_counter()
    for name in _BENCHES:
        subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]], check=True)
    print(f"All of it took {(time.perf_counter() - started) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
