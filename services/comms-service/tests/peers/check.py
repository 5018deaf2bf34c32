"""Reads with published libraries what the communications service has written.

Usage: check.py {icalendar|feed|webhook|cloudevent|slack}; what is to be read comes as JSON or text
on standard input, what was read is printed as JSON.
"""

import json
import sys


def icalendar(text: str) -> dict:
    from icalendar import Calendar

    calendar = Calendar.from_ical(text)
    [event] = calendar.walk("VEVENT")
    attendees = event["ATTENDEE"]
    attendees = attendees if isinstance(attendees, list) else [attendees]
    return {
        "method": str(calendar["METHOD"]),
        "uid": str(event["UID"]),
        "sequence": int(event["SEQUENCE"]),
        "start": event["DTSTART"].dt.isoformat(),
        "end": event["DTEND"].dt.isoformat(),
        "stamp": event["DTSTAMP"].dt.isoformat(),
        "summary": str(event["SUMMARY"]),
        "description": str(event["DESCRIPTION"]),
        "status": str(event["STATUS"]),
        "organizer": str(event["ORGANIZER"]),
        "attendees": [str(one) for one in attendees],
        "rsvp": [one.params["RSVP"] for one in attendees],
        "errors": [str(error) for error in event.errors],
    }


def feed(text: str) -> dict:
    import feedparser

    read = feedparser.parse(text)
    return {
        "bozo": bool(read.bozo),
        "version": read.version,
        "id": read.feed.id,
        "title": read.feed.title,
        "entries": [
            {
                "id": one.id,
                "title": one.title,
                "link": one.link,
                "published": one.published,
                "updated": one.updated,
                "content": one.content[0].value,
            }
            for one in read.entries
        ],
    }


def webhook(text: str) -> dict:
    from standardwebhooks import Webhook

    given = json.loads(text)
    verdicts = []
    for secret in given["secrets"]:
        try:
            Webhook(secret).verify(given["body"], given["headers"])
            verdicts.append("good")
        except Exception as error:  # Whatever it is, it is not verified.
            verdicts.append(str(error))
    return {"verdicts": verdicts}


def cloudevent(text: str) -> dict:
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event

    given = json.loads(text)
    event = from_http_event(HTTPMessage(headers=given["headers"], body=given["body"].encode()))
    return {
        "id": event.get_id(),
        "type": event.get_type(),
        "source": event.get_source(),
        "time": event.get_time().isoformat(),
        "data": event.get_data(),
    }


def slack(text: str) -> dict:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    given = json.loads(text)
    client = WebClient(token=given["token"], base_url=given["url"])
    said = []
    posted = client.chat_postMessage(
        channel="C1",
        text="from the sdk",
        metadata={"event_type": "x", "event_payload": {"message": "m"}},
    )
    said.append(posted["ts"])
    client.chat_postMessage(channel="C1", text="in its thread", thread_ts=posted["ts"])
    client.chat_update(channel="C1", ts=posted["ts"], text="changed")
    history = client.conversations_history(channel="C1", include_all_metadata=True)
    said.append([one["text"] for one in history["messages"]])
    replies = client.conversations_replies(channel="C1", ts=posted["ts"])
    said.append(len(replies["messages"]))
    client.conversations_archive(channel="C1")
    for call in (
        lambda: client.chat_postMessage(channel="C1", text="too late"),
        lambda: client.chat_postMessage(channel="C9", text="nowhere"),
        lambda: client.conversations_archive(channel="C1"),
        lambda: WebClient(token="xoxb-no", base_url=given["url"]).auth_test(),
    ):
        try:
            call()
            said.append("ok")
        except SlackApiError as error:
            said.append(error.response["error"])
    return {"said": said}


print(json.dumps(globals()[sys.argv[1]](sys.stdin.read())))
