import subprocess
import sys
from pathlib import Path

import pytest

from infrawatch_common.notices.apprise_urls import AppriseUrlError, apprise_complaint, apprise_shown, load_apprise

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SLACK, "slack://T...2/A...D/T...Q/%23general/"),
        (
            "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
            "slack://T...2/A...D/T...Q//",
        ),
        ("mailtos://user:CANARY@example.com?to=a@b.example", "mailtos://user:****@example.com/a%40b.example"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "tgram://1...p/12315544/"),
        ("jsons://CANARY:CANARY@example.com/hooks/CANARY?+X-Token=CANARY", "jsons://example.com/…"),
        ("json://example.com/CANARY", "json://example.com/…"),
        ("json://example.com", "json://example.com/"),
    ],
)
def test_urls_are_taken_and_shown_without_secrets(url: str, shown: str) -> None:
    assert apprise_complaint(url) is None
    assert apprise_shown(url) == shown


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must be an Apprise URL"),
        ("CANARY", "must be an Apprise URL"),
        ("slack://CANARY\r\n", "must be an Apprise URL"),
        ("slack://" + "a" * 5000, "must be an Apprise URL"),
        ("slack://CANARY", "it is not a URL of Slack; see https://"),
        ("nothing://CANARY", "Apprise knows no nothing://"),
        ("file:///etc/passwd", "Apprise knows no file://"),
        ("include:///etc/CANARY", "Apprise knows no include://"),
        ("config:///etc/CANARY", "Apprise knows no config://"),
        ("https://example.com/CANARY", "Apprise knows no https://"),
        *((f"{schema}://", "cannot be confined") for schema in ("syslog", "dbus", "kde", "qt", "glib", "gio")),
        *((f"{schema}://_/", "cannot be confined") for schema in ("gnome", "windows", "macosx", "blink1")),
        ("xmpp://user:CANARY@example.com", "cannot be confined"),
        ("mqtt://CANARY", "not installed"),
        ("discord://1/CANARY?template=/etc/passwd", "names a file"),
        ("discord://1/CANARY?Template=/etc/passwd", "names a file"),
        ("tgram://123456789:abcdefg_hijklmnop/1/?template=file:///etc/passwd", "names a file"),
        ("vapid://user@example.com/a@b.example?keyfile=/etc/CANARY", "names a file"),
        ("fcm://project@CANARY/device?keyfile=/etc/CANARY", "names a file"),
        ("mailto://user:CANARY@example.com?pgppub=/etc/CANARY", "names a file"),
    ],
)
def test_a_complaint_says_what_is_wrong_without_secrets(url: str, words: str) -> None:
    complaint = apprise_complaint(url)
    assert complaint is not None
    assert words in complaint
    assert "CANARY" not in complaint
    with pytest.raises(AppriseUrlError):
        apprise_shown(url)


def test_services_that_touch_the_machine_are_known() -> None:
    """A new version of Apprise with another service that runs programs or uses files must be looked at."""
    apprise = load_apprise()
    suspicious = {"subprocess", "syslog", "ctypes", "dbus", "gi", "win32api", "hid", "serial", "concurrent", "asyncio"}
    found = set()
    for service in apprise.manager_plugins.NotificationManager().plugins():
        file = Path(str(sys.modules[service.__module__].__file__))
        files = file.parent.glob("*.py") if file.parent.name != "plugins" else [file]
        lines = [line.split() for one in files for line in one.read_text(encoding="utf-8").splitlines()]
        imported = {words[1].partition(".")[0] for words in lines if words[:1] in (["import"], ["from"])}
        if imported & suspicious:
            found.add(service.__module__.removeprefix("apprise.plugins.").partition(".")[0])
    assert found == {"blink1", "dbus", "glib", "gnome", "macosx", "syslog", "windows", "xmpp"}


def test_what_apprise_logs_goes_nowhere() -> None:
    code = """
import logging, sys
logging.basicConfig(level=1, stream=sys.stdout)
from infrawatch_common.notices.apprise_urls import apprise_complaint
apprise_complaint("slack://CANARY")
for name in ("apprise", "urllib3.connectionpool", "requests_oauthlib.oauth1_auth"):
    logging.getLogger(name).error("CANARY")
print("end")
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("end\n", "")


def test_it_is_loaded_only_when_it_is_needed() -> None:
    modules = "infrawatch_common.notices.apprise_urls, infrawatch_alerting.sending, infrawatch_alerting.app"
    code = f"import sys, {modules}; assert 'apprise' not in sys.modules and 'requests' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
