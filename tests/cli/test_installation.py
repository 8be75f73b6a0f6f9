"""Making an installation, starting it, filling it; wrong settings and unusable databases are said in words."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ANN, Commands

CATALOGUE = "categories:\n  - title: Care\n    topics:\n      - {slug: falls, title: Falls}\n"
MEND = "The database is not at this version's schema. Run: alerts init"


def older(commands: Commands) -> None:
    """Give a SQLite installation the look of an earlier version."""
    path = commands.environment["ALERTS_DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()


def test_init_makes_the_database_the_key_and_the_default_catalogue_once(anew: Commands) -> None:
    assert anew.said("init").splitlines() == [
        "The database was created.",
        f"The catalogue was loaded: {len(anew.answer('topics', 'list'))} topics.",
    ]
    key = Path(anew.environment["ALERTS_STATE_DIR"]) / "permanent.key"
    made = key.read_text(encoding="ascii")
    assert key.stat().st_mode & 0o077 == 0
    topics = anew.answer("topics", "list")
    assert len(topics) > 10
    assert anew.said("init") == "The database is at this version's schema."
    assert key.read_text(encoding="ascii") == made
    assert anew.answer("topics", "list") == topics


def test_init_is_safe_to_repeat_on_both_databases(alerts: Commands) -> None:
    topics = alerts.answer("topics", "list")
    assert alerts.said("init") == "The database is at this version's schema."
    assert alerts.answer("topics", "list") == topics


def test_init_without_a_catalogue_leaves_it_to_be_loaded(anew: Commands) -> None:
    assert anew.said("init", "--catalogue", "none") == "The database was created."
    assert anew.answer("topics", "list") == []
    assert "there is no topic; load a catalogue first" in anew.refusal("demo-data", "--subscribers", "1")


def test_init_loads_the_catalogue_it_is_given_unless_there_is_one(anew: Commands, tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(CATALOGUE, encoding="utf-8")
    assert "The catalogue was loaded: 1 topics." in anew.said("init", "--catalogue", str(file))
    assert [topic["slug"] for topic in anew.answer("topics", "list")] == ["falls"]
    assert f"alerts topics load {file}" in anew.said("init", "--catalogue", str(file))
    assert len(anew.answer("topics", "list")) == 1


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "bad.yaml", "latin.csv"])
def test_a_catalogue_that_cannot_be_used_is_said_in_words_and_init_can_be_repeated(
    anew: Commands, tmp_path: Path, name: str
) -> None:
    (tmp_path / "bad.yaml").write_text("categories: {", encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes("category,slug,title\nCafé,falls,Falls".encode("latin-1"))
    said = anew.refusal("init", "--catalogue", str(tmp_path / name))
    assert "catalogue" in said
    assert "Traceback" not in said
    assert "The catalogue was loaded" in anew.said("init")


@pytest.mark.parametrize(
    "words",
    [
        ["outbox", "count"],
        ["topics", "list"],
        ["subscribers", "state", ANN],
        ["updates", "add", "--title", "A", "--topic", "idd"],
        ["editions", "open"],
        ["deliver"],
        ["ledger"],
        ["serve"],
        ["scheduler"],
    ],
    ids=" ".join,
)
def test_before_init_and_after_an_upgrade_commands_say_what_mends_it(anew: Commands, words: list[str]) -> None:
    assert anew.refusal(*words) == MEND


@pytest.mark.parametrize("words", [["serve"], ["scheduler"]], ids=" ".join)
def test_the_two_processes_refuse_an_older_schema(anew: Commands, words: list[str]) -> None:
    anew.said("init", "--catalogue", "none")
    older(anew)
    assert anew.refusal(*words) == MEND


def test_the_scheduler_as_a_module_refuses_in_the_same_words(anew: Commands) -> None:
    for changes, sentence in (({}, MEND), ({"ALERTS_FROM": "nobody"}, "ALERTS_FROM: “nobody” is not a mailbox")):
        done = subprocess.run(
            [sys.executable, "-m", "scheduler"],
            env=anew.environment | changes,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_another_permanent_key_is_refused_by_every_command(alerts: Commands) -> None:
    state = ["subscribers", "state", ANN]
    for words in (["deliver", "--drain"], state, ["suppressions", "add", ANN], ["serve"], ["scheduler"]):
        said = alerts.refusal(*words, ALERTS_PERMANENT_KEY="another-key-of-thirty-two-characters")
        assert said.startswith("The permanent key is not the one this database was made with.")
        lost = alerts.refusal(*words, ALERTS_PERMANENT_KEY="", ALERTS_STATE_DIR="/nowhere")
        assert lost == said
    assert alerts.answer("suppressions", "list") == []


def test_init_refuses_another_permanent_key(alerts: Commands) -> None:
    said = alerts.refusal("init", ALERTS_PERMANENT_KEY="another-key-of-thirty-two-characters")
    assert said.startswith("The permanent key is not the one")
    assert alerts.said("init")


@pytest.mark.parametrize("words", [["init"], ["outbox", "count"], ["scheduler"]], ids=" ".join)
def test_a_database_that_is_not_there_is_said_in_one_line(anew: Commands, words: list[str]) -> None:
    said = anew.refusal(*words, ALERTS_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert said.startswith("The database cannot be used: ")


def test_a_folder_that_cannot_be_made_is_said_in_one_line(anew: Commands, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "file" in anew.refusal("init", ALERTS_DATABASE_URL=f"sqlite:///{tmp_path}/file/alerts.db")


@pytest.mark.parametrize("words", [["init"], ["serve"], ["scheduler"], ["outbox", "count"]], ids=" ".join)
def test_wrong_settings_are_named_all_at_once(anew: Commands, words: list[str]) -> None:
    done = anew.run(*words, ALERTS_SECRET_KEY="short", ALERTS_DAILY_AT="noon", ALERTS_POSTAL_ADDRESS="")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "The settings cannot be used:"
    names = {line.split()[0].rstrip(":") for line in done.stderr.splitlines()[1:]}
    assert names == {"ALERTS_SECRET_KEY", "ALERTS_DAILY_AT", "ALERTS_POSTAL_ADDRESS"}


def test_demo_data_fills_an_empty_installation_and_queues_no_mail(alerts: Commands) -> None:
    filled = alerts.answer("demo-data", "--subscribers", "50", "--updates", "3", "--now", "2026-11-30T12:00+00:00")
    assert filled == {"subscribers": 50, "updates": 3}
    assert alerts.said("outbox", "count") == "0"
    assert {update["state"] for update in alerts.answer("updates", "list")} == {"released"}
    opened = alerts.answer("editions", "open", "--now", "2099-06-02T09:00:30")
    assert opened["deliveries"] > 25, "the next edition owes something to more than half"


def test_demo_data_takes_one_frequency_and_the_same_seed_makes_the_same(alerts: Commands) -> None:
    said = alerts.said("demo-data", "--subscribers", "20", "--updates", "1", "--frequency", "monthly", "--seed", "7")
    assert said == "20 subscribers and 1 updates were made."
    opened = alerts.answer("editions", "open", "--now", "2099-06-02T09:00:30")
    frequencies = {row["frequency"] for row in alerts.answer("editions", "list") if row["deliveries"]}
    assert opened["deliveries"] > 0
    assert frequencies == {"monthly"}


def test_demo_data_is_refused_where_there_are_subscribers(alerts: Commands) -> None:
    alerts.said("demo-data", "--subscribers", "2")
    said = alerts.refusal("demo-data", "--subscribers", "2", "--updates", "5")
    assert "has subscribers already" in said
    assert alerts.answer("updates", "list") == []


@pytest.mark.parametrize(
    "words", [["--subscribers", "0"], ["--updates", "1"], ["--subscribers", "1", "--frequency", "x"]]
)
def test_demo_data_wants_sensible_numbers(anew: Commands, words: list[str]) -> None:
    assert anew.misuse("demo-data", *words)


def test_short_commands_load_no_migrations_and_no_timer(anew: Commands) -> None:
    anew.said("init")
    program = (
        "import sys\nfrom alerts_service.cli import main\n"
        f"sys.argv[1:] = ['subscribers', 'state', '{ANN}']\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=anew.environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "none\n"
    assert not set(done.stderr.split()) & {"alembic", "apscheduler", "gunicorn", "css_inline", "flask_babel"}


def test_a_site_that_is_started_by_the_command_answers(anew: Commands) -> None:
    """What `serve` hands over to: gunicorn's own check of the application."""
    anew.said("init")
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config", "alerts_service:create_app()"],
        env=anew.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_run_under_flask_too(alerts: Commands) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("flask")), "--app", "wsgi", "topics", "list", "--json"],
        env={name: text for name, text in alerts.environment.items() if name != "PYTHONWARNINGS"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == alerts.answer("topics", "list")
