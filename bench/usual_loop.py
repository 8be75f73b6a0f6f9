"""The usual loop, as a reference: for each recipient render a template, build an EmailMessage, send it by smtplib.

python -m bench.usual_loop PORT FIRST LAST
"""

import smtplib
import sys
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from jinja2 import DictLoader, Environment

_TEXT = """Resources for Integrated Care
{% for update in updates %}
{{ update.title }}
{{ update.summary }}
{{ update.url }}
{% endfor %}
Change what you get: {{ base }}/preferences/{{ token }}
Unsubscribe: {{ base }}/unsubscribe/{{ token }}
"""
_HTML = """<!doctype html><html lang="en"><head><title>{{ title }}</title></head><body style="font-family:sans-serif">
<h1 style="font-size:20px;color:#112e51">{{ title }}</h1>
{% for update in updates %}<div style="margin:0 0 24px;border-bottom:1px solid #ddd">
<h2 style="font-size:17px;margin:0"><a href="{{ update.url }}" style="color:#005ea2">{{ update.title }}</a></h2>
<p style="font-size:15px;line-height:1.5;color:#1b1b1b">{{ update.summary }}</p></div>
{% endfor %}<p><a href="{{ base }}/preferences/{{ token }}">Change what you get</a>
<a href="{{ base }}/unsubscribe/{{ token }}">Unsubscribe</a></p></body></html>
"""
_SUMMARY = (
    "Health plans and providers have tried this practice with people who are enrolled in both Medicare and Medicaid. "
    "The brief says what it took, what changed for them, and what others can use. "
)
_BASE = "https://alerts.example.org"


def main() -> None:
    """Send one message to each of the recipients from the first number to the last."""
    port, first, last = map(int, sys.argv[1:4])
    templates = Environment(loader=DictLoader({"text": _TEXT, "html": _HTML}), autoescape=True)
    updates = [
        {"title": f"Update {n}: a practice worth knowing", "summary": _SUMMARY * 2, "url": f"https://example.org/{n}"}
        for n in range(1, 13)
    ]
    with smtplib.SMTP("127.0.0.1", port) as relay:
        for number in range(first, last + 1):
            values = {"updates": updates, "base": _BASE, "token": f"{number:043}", "title": "Weekly update"}
            message = EmailMessage()
            message["From"] = "Resources for Integrated Care <alerts@care.example.org>"
            message["To"] = f"reader{number}@mail{number % 400}.example"
            message["Subject"] = "Weekly update"
            message["Date"] = formatdate()
            message["Message-ID"] = make_msgid(domain="care.example.org")
            message["List-Unsubscribe"] = f"<{_BASE}/unsubscribe/{number:043}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
            message.set_content(templates.get_template("text").render(values))
            message.add_alternative(templates.get_template("html").render(values), subtype="html")
            relay.send_message(message)


if __name__ == "__main__":
    main()
