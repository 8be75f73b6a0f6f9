"""What replies mean, as a table."""

import pytest

from alerts_service.rules.replies import Meaning, Reply, Stage, meaning

TABLE = [
    (Stage.DATA, 250, "2.0.0 queued", Meaning.SENT),
    (Stage.DATA, 251, "ok", Meaning.SENT),
    (Stage.RCPT, 450, "4.2.1 busy", Meaning.RETRY),
    (Stage.RCPT, 451, "greylisted", Meaning.RETRY),
    (Stage.RCPT, 452, "4.2.2 full", Meaning.RETRY),
    (Stage.DATA, 451, "4.3.0 later", Meaning.RETRY),
    (Stage.MAIL, 452, "4.3.1 no space", Meaning.RETRY),
    (Stage.RCPT, 421, "4.7.0 slow down", Meaning.REQUEUE),
    (Stage.DATA, 421, "4.3.2 closing", Meaning.REQUEUE),
    (Stage.MAIL, 421, "too many", Meaning.REQUEUE),
    (Stage.CONNECT, 421, "busy", Meaning.REQUEUE),
    (Stage.CONNECT, 554, "no service", Meaning.REQUEUE),
    (Stage.CONNECT, 535, "5.7.8 wrong password", Meaning.REQUEUE),
    (Stage.RCPT, 550, "5.1.1 no such user", Meaning.ADDRESS_DEAD),
    (Stage.RCPT, 550, "5.1.10 null MX", Meaning.ADDRESS_DEAD),
    (Stage.RCPT, 551, "5.1.6 moved", Meaning.ADDRESS_DEAD),
    (Stage.RCPT, 550, "5.2.1 disabled", Meaning.ADDRESS_DEAD),
    (Stage.RCPT, 553, "5.1.3 bad syntax", Meaning.ADDRESS_DEAD),
    (Stage.RCPT, 550, "no such user here", Meaning.ADDRESS_REFUSED),
    (Stage.RCPT, 552, "5.2.2 full", Meaning.ADDRESS_REFUSED),
    (Stage.RCPT, 550, "5.1.11 not 5.1.1", Meaning.ADDRESS_REFUSED),
    (Stage.RCPT, 550, "see 5.1.1", Meaning.ADDRESS_REFUSED),
    (Stage.RCPT, 550, "5.7.1 blocked by policy", Meaning.WE_ARE_REFUSED),
    (Stage.RCPT, 554, "5.7.606 banned", Meaning.WE_ARE_REFUSED),
    (Stage.MAIL, 550, "5.1.8 bad sender", Meaning.WE_ARE_REFUSED),
    (Stage.DATA, 554, "5.7.1 spam", Meaning.WE_ARE_REFUSED),
    (Stage.DATA, 550, "5.1.1 said too late", Meaning.WE_ARE_REFUSED),
    (Stage.DATA, 552, "too big", Meaning.WE_ARE_REFUSED),
]


@pytest.mark.parametrize(("stage", "code", "text", "means"), TABLE)
def test_a_reply_means_what_its_stage_and_codes_say(stage: Stage, code: int, text: str, means: Meaning) -> None:
    assert meaning(Reply(stage, code, text)) is means


def test_no_transient_reply_ever_kills_an_address() -> None:
    for stage in Stage:
        for code in range(400, 500):
            for text in ("5.1.1 no such user", "4.1.1 no such user", ""):
                assert meaning(Reply(stage, code, text)) in {Meaning.RETRY, Meaning.REQUEUE}


def test_only_a_reply_at_rcpt_speaks_of_an_address() -> None:
    for stage in (Stage.CONNECT, Stage.MAIL, Stage.DATA):
        for code in range(500, 600):
            said = meaning(Reply(stage, code, "5.1.1 no such user"))
            assert said not in {Meaning.ADDRESS_DEAD, Meaning.ADDRESS_REFUSED}


def test_a_reply_reads_as_the_relay_said_it() -> None:
    assert str(Reply(Stage.RCPT, 550, "5.1.1 no such user")) == "550 5.1.1 no such user"
