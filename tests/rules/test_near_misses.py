"""Nearly well-known domains: what is asked about, and what is left in peace."""

import pytest

from alerts_service.errors import NearMiss
from alerts_service.rules.near_misses import check, suggestion

MISTYPED = {
    "gmail.com": "gmial.com gmal.com gnail.com gmaill.com gamil.com gmai.com gmail.con gmail.co gmail.cm GMIAL.com",
    "yahoo.com": "yahooo.com yaho.com yahoo.con",
    "hotmail.com": "hotmial.com hotmal.com homail.com",
    "outlook.com": "outlok.com outloo.com outlook.con",
    "icloud.com": "iclod.com icloud.co",
    "sbcglobal.net": "sbcgobal.net",
}
TRUE = """
gmail.com mail.com email.com ymail.com me.com proton.me gmx.de gmx.net gmx.com yahoo.ca yahoo.co.uk yahoo.com.mx
hotmail.fr hotmail.co.uk outlook.fr live.com aol.com cms.hhs.gov hhs.gov example.org olive.com mailer.com
"""


@pytest.mark.parametrize(("domain", "typed"), MISTYPED.items())
def test_a_mistyped_domain_is_asked_about(domain: str, typed: str) -> None:
    assert {suggestion(f"Ann.B+c@{wrong}") for wrong in typed.split()} == {f"Ann.B+c@{domain}"}


def test_a_true_domain_is_left_in_peace() -> None:
    assert [domain for domain in TRUE.split() if suggestion(f"ann@{domain}")] == []


def test_who_is_sure_of_a_domain_is_asked_no_more_about_it_but_about_another() -> None:
    with pytest.raises(NearMiss):
        check("ann@gmial.com", "")
    check("ann@gmial.com", "Gmial.com")
    with pytest.raises(NearMiss):
        check("ann@gmal.com", "gmial.com")
