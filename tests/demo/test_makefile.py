"""`make run` where no environment can be made: one line, and nothing half-made stays."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("rm", "sh", "touch", "mkdir", "chmod", "cat")
MAKE = shutil.which("make") or ""
NO_MODULE = "#!/bin/sh\necho 'No module named venv' >&2\nexit 1\n"
HALF = "#!/bin/sh\nmkdir -p .venv/bin\necho 'The virtual environment was not created successfully'\nexit 1\n"
NO_PIP = (
    "#!/bin/sh\nmkdir -p .venv/bin\nprintf '#!/bin/sh\\necho no pip >&2; exit 1\\n' > .venv/bin/python\n"
    "chmod +x .venv/bin/python\n"
)


@pytest.mark.skipif(not MAKE, reason="make is not there")
@pytest.mark.parametrize("goal", ["run", "test"])
@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        (NO_MODULE, "No environment can be made: install Python's venv module"),
        (HALF, "No environment can be made: install Python's venv module"),
        (NO_PIP, "pip is missing: install Python's venv and pip"),
    ],
    ids=["no module", "half-made", "no pip"],
)
def test_one_line_says_what_to_install_and_no_environment_stays(
    tmp_path: Path, python: str, sentence: str, goal: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in NEEDED:
        (tools / name).symlink_to(shutil.which(name) or "/nowhere")
    (tools / "python3").write_text(python, encoding="ascii")
    (tools / "python3").chmod(0o755)
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("Makefile", "setup.cfg", "requirements.lock", "requirements-test.lock"):
        shutil.copy(ROOT / name, clone)

    done = subprocess.run(
        [MAKE, goal],
        cwd=clone,
        env={"PATH": str(tools), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make")]
    assert len(lines) == 1, lines
    assert lines[0].startswith(sentence)
    assert not (clone / ".venv").exists()
