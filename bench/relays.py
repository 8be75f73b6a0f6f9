"""What bench.send sends to, and beside: Debian's smtp-sink and smtp-source, and a delay between a sender and a sink.

Both programs come with Postfix: `apt-get install postfix` (choose "No configuration"); no mail server need run.
"""

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.processes import free_port, running

_FOLDERS = ("/usr/sbin", "/usr/lib/postfix", "/usr/libexec/postfix", "/usr/local/sbin")
_LONGEST = 65_536


def program(name: str) -> str:
    """Return the path of one of Postfix's programs, or end with the line that says how to get it."""
    found = shutil.which(name) or next((f"{f}/{name}" for f in _FOLDERS if Path(f, name).exists()), None)
    if found is None:
        sys.exit(f"{name} is not there; on Debian: apt-get install postfix")
    return found


@contextlib.contextmanager
def sink(*options: str) -> Iterator[int]:
    """Run an smtp-sink, which takes everything and (without options) keeps nothing, and give its port."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with running([program("smtp-sink"), *user, *options, f"127.0.0.1:{port}", "1000"], port=port):
        yield port


@contextlib.contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """Run a process that passes everything on, the replies only after a delay, and give its port."""
    own = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_pass_on, args=(own, port, seconds), daemon=True)
    process.start()
    try:
        time.sleep(1.0)
        yield own
    finally:
        process.terminate()
        process.join()


def _pass_on(own: int, port: int, seconds: float) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            replies, commands = await asyncio.open_connection("127.0.0.1", port)

            async def answer() -> None:
                while data := await replies.read(_LONGEST):
                    loop.call_later(seconds, writer.write, data)
                loop.call_later(seconds, writer.close)

            answering = asyncio.create_task(answer())
            while data := await reader.read(_LONGEST):
                commands.write(data)
                await commands.drain()
            commands.close()
            await answering

        server = await asyncio.start_server(connected, "127.0.0.1", own)
        await server.serve_forever()

    asyncio.run(serve())
