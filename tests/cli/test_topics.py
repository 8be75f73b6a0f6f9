"""The catalogue by command: list and load."""

from pathlib import Path

import pytest

from tests.cli.conftest import Commands

YAML = """
categories:
  - title: Care models
    title_es: Modelos de atención
    topics:
      - {slug: falls, title: Falls, title_es: Caídas, description: At home}
  - title: Data
    topics:
      - {slug: measures, title: Measures}
      - {slug: dementia, title: Dementia renamed}
"""
CSV = "category,slug,title,title_es\nCare models,falls,Falls,Caídas\nData,measures,Measures,\n"
REFUSED = [
    ("a.yaml", "categories: [", "it is not YAML"),
    ("a.yaml", "- just\n- a list", "it has no list called “categories”"),
    ("a.yaml", "categories: []", "it holds no topic"),
    ("a.yaml", "categories:\n  - {title: A}", "a list called “topics”"),
    ("a.yaml", "categories:\n  - {title: A, topics: [falls]}", "a list called “topics”"),
    ("a.yaml", YAML + "      - {slug: falls, title: Again}", "topic 4 (“falls”) needs a slug of its own"),
    ("a.yaml", YAML + "      - {slug: Big Slug, title: Again}", "topic 4 (“Big Slug”) needs a slug"),
    ("a.yaml", YAML + "      - {slug: untitled}", "topic 4 (“untitled”) needs a title and a category"),
    (
        "a.yaml",
        YAML + f"      - {{slug: long, title: {'x' * 201}}}",
        "topic 4 (“long”) has a text that is too long",
    ),
    ("a.csv", "slug,title\nfalls,Falls\n", "the columns category, slug and title"),
    ("a.csv", "", "the columns category, slug and title"),
    ("a.csv", CSV + "Data,,Nameless,\n", "topic 3 (“Nameless”) needs a slug"),
    ("a.csv", CSV + "only one column\n", "topic 3"),
]


def test_topics_are_listed_in_catalogue_order(alerts: Commands) -> None:
    topics = alerts.answer("topics", "list")
    assert all(set(topic) == {"slug", "title", "category"} for topic in topics)
    assert len({topic["slug"] for topic in topics}) == len(topics)
    lines = alerts.said("topics", "list").splitlines()
    assert [line.split()[0] for line in lines] == [topic["slug"] for topic in topics]
    assert f"({topics[0]['category']})" in lines[0]


@pytest.mark.parametrize(("name", "text"), [("ours.yaml", YAML), ("ours.csv", CSV), ("OURS.CSV", "\ufeff" + CSV)])
def test_a_file_adds_topics_and_those_it_does_not_name_stay(
    alerts: Commands, tmp_path: Path, name: str, text: str
) -> None:
    before = {topic["slug"] for topic in alerts.answer("topics", "list")}
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    assert alerts.answer("topics", "load", str(file))["added"] == 2
    listed = {topic["slug"]: topic for topic in alerts.answer("topics", "list")}
    assert set(listed) == before | {"falls", "measures"}
    assert listed["falls"] == {"slug": "falls", "title": "Falls", "category": "Care models"}
    if text == YAML:
        assert listed["dementia"]["title"] == "Dementia renamed"
    again = alerts.answer("topics", "load", str(file))
    assert (again["added"], again["changed"]) == (0, 0)
    assert again["unchanged"] == len(text.strip().splitlines()) - 1 if name.lower().endswith("csv") else 3


def test_a_file_that_cannot_be_used_is_refused_with_the_reason_and_nothing_changes(
    alerts: Commands, tmp_path: Path
) -> None:
    before = alerts.answer("topics", "list")
    for name, text, reason in REFUSED:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        said = alerts.refusal("topics", "load", str(file))
        assert said.startswith("The catalogue was refused, and nothing was changed: ")
        assert reason in said
    assert alerts.answer("topics", "list") == before


def test_bytes_that_are_no_text_are_refused(alerts: Commands, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("category,slug,title\nGröße,falls,Falls\n".encode("latin-1"))
    assert alerts.refusal("topics", "load", str(file)) == f"{file} is not a text file in UTF-8."


def test_a_file_that_is_not_there_is_wrong_usage(alerts: Commands, tmp_path: Path) -> None:
    assert "does not exist" in alerts.misuse("topics", "load", str(tmp_path / "nowhere.yaml"))
    assert "is a directory" in alerts.misuse("topics", "load", str(tmp_path))
