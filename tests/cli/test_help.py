"""Every command says what it is for; those that need no database import none."""

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from alerts_service.cli import TABLE, group
from alerts_service.cli.lazy import Entry, LazyGroup, Table

BARE = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}


def commands(table: Table = TABLE, *nouns: str) -> Iterator[list[str]]:
    """The words of every command."""
    for name, entry in table.items():
        if isinstance(entry, Entry):
            yield [*nouns, name]
        else:
            yield from commands(entry, *nouns, name)


def found(words: list[str]) -> click.Command:
    """The command behind its words."""
    context = click.Context(group)
    command: click.Command | None = group
    for word in words:
        assert isinstance(command, LazyGroup)
        command = command.get_command(context, word)
    assert command is not None
    return command


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_and_every_option_of_it_has_a_text(words: list[str]) -> None:
    done = CliRunner(env={name: None for name in os.environ if name.startswith("ALERTS_")}).invoke(
        group, [*words, "--help"]
    )
    assert done.exit_code == 0, "help needs no settings"
    assert done.stdout.startswith(f"Usage: alerts {' '.join(words)}")
    command = found(words)
    assert command.help
    assert command.help.split("\n\n")[0].strip().endswith(".")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{option.name} says nothing"
            assert option.help.endswith(".")


def test_every_command_that_answers_can_answer_in_json() -> None:
    # The ledger and the address filter speak JSON only; the others run on, or make text.
    others = {"serve", "scheduler", "demo", "ledger", "address", "markup"}
    options = {" ".join(words): {option.name for option in found(words).params} for words in commands()}
    assert {words for words, names in options.items() if "as_json" not in names} == others


@pytest.mark.parametrize(
    "words", [[], ["topics"], ["updates"], ["subscribers"], ["suppressions"], ["editions"]], ids=str
)
def test_a_group_lists_its_commands_with_their_help(words: list[str]) -> None:
    done = CliRunner().invoke(group, [*words, "--help"])
    table = TABLE[words[0]] if words else TABLE
    assert isinstance(table, dict)
    for name, entry in table.items():
        assert f"  {name} " in done.stdout
        if isinstance(entry, Entry):
            assert entry.help.split()[0] in done.stdout


@pytest.mark.parametrize("words", [["ask"], ["topics", "ask"], ["topics"], ["topics", "list", "--ask"]], ids=" ".join)
def test_words_that_are_no_command_are_wrong_usage(words: list[str]) -> None:
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage: alerts" in done.stderr


def loaded(*words: str, stdin: str = "") -> set[str]:
    """The packages that a command has imported at its end, in a process that has no settings."""
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted({n.split('.')[0] for n in sys.modules}), file=sys.stderr))\n"
        "from alerts_service.cli import main\n"
        f"sys.argv[1:] = {list(words)!r}\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=stdin, capture_output=True, text=True, env=BARE, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["address"], ["markup"], ["markup", "--text"]], ids=" ".join)
def test_help_and_filters_need_no_settings_and_load_neither_flask_nor_a_database(words: list[str]) -> None:
    assert not loaded(*words, stdin="ann@example.org") & {"flask", "sqlalchemy", "alembic", "apscheduler"}
