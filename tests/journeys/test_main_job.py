"""The main job from end to end, through the site, the commands and the mail only."""

from collections.abc import Callable

from tests.journeys.conftest import Installation, path_of

ANN = "ann@example.org"
# Slots of the default schedule in New York that lie ahead of any present: a Tuesday, 09:00, and the next.
TUESDAY, NEXT_TUESDAY = "2099-06-02T09:00:30", "2099-06-09T09:00:30"


def test_somebody_signs_up_confirms_gets_one_digest_and_leaves_by_link(installation: Installation) -> None:
    installation.sign_up(ANN, "dementia", "caregivers")
    assert installation.alerts("subscribers", "state", ANN) == "pending"
    confirmation = installation.newest(ANN)
    assert "Confirm" in str(confirmation.message["Subject"])

    path = path_of(confirmation, "/confirm/")
    installation.site.get(path)
    installation.site.head(path)
    assert installation.alerts("subscribers", "state", ANN) == "pending", "looking is not confirming"
    assert installation.site.post(path).status_code == 200
    assert installation.site.post(path).status_code == 200, "a second click answers like the first"
    assert installation.alerts("subscribers", "state", ANN) == "active"
    installation.deliver()
    welcome = installation.newest(ANN).part("plain")
    assert "Family and Friend Caregivers" in welcome

    update = installation.add_update(
        "Delivering Dementia-Capable Care within Health Plans",
        *("--topic", "dementia", "--topic", "caregivers", "--kind", "webinar"),
        *("--summary", "Join us for **90 minutes** with [the panel](https://care.example.org/panel)."),
        *("--starts-at", "2099-06-10T12:00", "--ends-at", "2099-06-10T13:30"),
        *("--registration-url", "https://care.example.org/register", "--credit", "1.5 CE hours"),
    )
    assert installation.answer("explain", ANN, str(update))["answer"] == "waiting"
    installation.tick(TUESDAY)
    installation.tick(TUESDAY)
    digests = installation.relay.to(ANN)[2:]
    assert len(digests) == 1, "two topics, one message, however often the slot is looked at"
    digest = digests[0]
    assert str(digest.message["Subject"]) == "Delivering Dementia-Capable Care within Health Plans"
    for part in (digest.part("plain"), digest.part("html")):
        assert part.count("https://care.example.org/register") == 1
        assert "Alzheimer" in part
        assert "Caregivers" in part
        assert "7500 Security Boulevard" in part
    assert installation.answer("proof", str(update))["sent"] == 1
    assert installation.answer("explain", ANN, str(update))["answer"] == "sent"

    one_click = path_of(digest, "/unsubscribe/")
    assert one_click in str(digest.message["List-Unsubscribe"])
    installation.site.get(one_click)
    assert installation.alerts("subscribers", "state", ANN) == "active", "looking is not leaving"
    answer = installation.site.post(one_click, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert installation.alerts("subscribers", "state", ANN) == "unsubscribed"

    later = installation.add_update("Tip sheet: preventing falls at home", "--topic", "dementia")
    installation.tick(NEXT_TUESDAY)
    (goodbye,) = installation.relay.to(ANN)[3:]
    undo = path_of(goodbye, "/undo/")
    installation.site.get(undo)
    assert installation.alerts("subscribers", "state", ANN) == "unsubscribed", "looking is not coming back"
    assert installation.answer("explain", ANN, str(later))["answer"] in {"left_before", "not_followed"}
    assert installation.alerts("outbox", "count") == "0"


def test_mail_already_queued_does_not_reach_somebody_who_leaves(installation: Installation) -> None:
    installation.sign_up(ANN, "policy")
    installation.confirm(ANN)
    preferences = path_of(installation.newest(ANN), "/preferences/")
    update = installation.add_update("Brief: integrated programs", "--topic", "policy")
    installation.alerts("editions", "open", "--now", TUESDAY)
    assert installation.alerts("outbox", "count") == "1"
    page = installation.site.get(preferences)
    assert page.status_code == 200
    installation.site.post(path_of(installation.newest(ANN), "/unsubscribe/"), data={"List-Unsubscribe": "One-Click"})
    installation.deliver()
    assert "Brief: integrated programs" not in installation.subjects(ANN)
    proof = installation.answer("proof", str(update))
    assert proof["cancelled_by_reason"] == {"left": 1}
    assert proof["adds_up"]


def test_an_urgent_update_goes_out_at_once_to_all_frequencies_and_is_not_repeated(installation: Installation) -> None:
    for address, frequency in ((ANN, "monthly"), ("bob@example.org", "immediate")):
        installation.sign_up(address, "telehealth", frequency=frequency)
        installation.confirm(address)
    installation.add_update("Line down: use the other number", "--topic", "telehealth", "--urgent")
    installation.alerts("editions", "open")
    installation.deliver()
    for day in ("2099-06-01T09:00:30", TUESDAY, "2099-07-01T09:00:30"):
        installation.tick(day)
    for address in (ANN, "bob@example.org"):
        assert installation.subjects(address).count("Line down: use the other number") == 1


def test_signing_up_again_says_what_is_followed_and_adds_the_new_topics(installation: Installation) -> None:
    installation.sign_up(ANN, "dementia")
    first = installation.site.post(
        "/subscribe", data={"email": "new@example.org", "topics": "idd", "frequency": "weekly"}
    )
    installation.confirm(ANN)
    known = installation.site.post("/subscribe", data={"email": ANN, "topics": "idd", "frequency": "daily"})
    assert (known.status_code, known.text, known.headers["Location"].partition("?")[0]) == (
        first.status_code,
        first.text,
        first.headers["Location"].partition("?")[0],
    )
    installation.deliver()
    text = installation.newest(ANN).part("plain")
    assert "Alzheimer's Disease and Related Dementias" in text
    assert "Intellectual and Developmental Disabilities" in text
    installation.confirm(ANN)
    rows = installation.answer("subscribers", "show", ANN)["subscriptions"]
    assert {row["topic"]: row["frequency"] for row in rows} == {"dementia": "weekly", "idd": "daily"}


def test_a_spanish_reader_gets_spanish_mail(installation: Installation) -> None:
    installation.sign_up(ANN, "dementia", lang="es")
    assert 'lang="es"' in installation.newest(ANN).part("html")
    installation.confirm(ANN)
    installation.add_update(
        "A tool", "--topic", "dementia", "--title-es", "Una herramienta", "--summary-es", "Para **usted**."
    )
    installation.tick(TUESDAY)
    digest = installation.newest(ANN)
    assert str(digest.message["Subject"]) == "Una herramienta"
    assert "Enfermedad de Alzheimer" in digest.part("plain")


def test_a_copied_database_cannot_mail_anyone_outside_the_allow_list(
    installation: Installation, another: Callable[..., Installation]
) -> None:
    installation.sign_up(ANN, "policy")
    installation.confirm(ANN)
    installation.sign_up("tester@ours.example", "policy")
    installation.confirm("tester@ours.example")
    before = len(installation.relay.to(ANN))
    installation.add_update("A brief", "--topic", "policy")
    installation.alerts("editions", "open", "--now", TUESDAY)
    copy = another(ALERTS_MODE="staging", ALERTS_MAIL_ALLOW="*@ours.example")
    copy.deliver()
    assert len(installation.relay.to(ANN)) == before
    assert installation.subjects("tester@ours.example")[-1].startswith("[TEST]")
    line = next(line for line in copy.alerts("ledger").splitlines() if '"not allowed here"' in line)
    assert ANN in line


def test_preferences_by_mailed_link_change_topics_and_frequency(installation: Installation) -> None:
    installation.sign_up(ANN, "dementia", "policy")
    installation.confirm(ANN)
    known = installation.site.post("/preferences", data={"email": ANN})
    unknown = installation.site.post("/preferences", data={"email": "nobody@example.org"})
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    installation.deliver()
    path = path_of(installation.newest(ANN), "/preferences/")
    answer = installation.site.post(path, data={"topics": ["policy", "idd"], "frequency": "daily", "lang": "en"})
    assert answer.status_code == 303, answer.text
    rows = [row for row in installation.answer("subscribers", "show", ANN)["subscriptions"] if not row["ended_at"]]
    assert {row["topic"]: row["frequency"] for row in rows} == {"policy": "daily", "idd": "daily"}


def test_wrong_settings_are_all_named_at_once(another: Callable[..., Installation]) -> None:
    said = another(ALERTS_SECRET_KEY="short", ALERTS_DAILY_AT="noon", ALERTS_FROM="").alerts(
        "subscribers", "state", ANN, fails=True
    )
    for name in ("ALERTS_SECRET_KEY", "ALERTS_DAILY_AT", "ALERTS_FROM"):
        assert name in said
