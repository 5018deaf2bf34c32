"""Evaluates flags with the published OpenFeature provider of flagd, as it is.

Usage: provider.py {rpc|in-process} PORT

Reads questions as JSON lines, {"flag", "type", "default", "context"}, and answers each with a line:
{"value", "variant", "reason", "error"}. The line "wait FLAG" waits until the provider says that this
flag has changed, and is answered with "changed".
"""

import json
import logging
import sys
import threading

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent

PATIENCE_S = 60


def connect(resolver: str, port: int) -> None:
    """Connects; fails where the server is not ready in time."""
    provider = FlagdProvider(
        host="127.0.0.1",
        port=port,
        resolver_type=ResolverType(resolver),
        deadline_ms=PATIENCE_S * 1000,
    )
    api.set_provider_and_wait(provider)


def context(question: dict) -> EvaluationContext:
    """The context, with the targeting key where OpenFeature keeps it."""
    attributes = dict(question["context"])
    targeting_key = attributes.pop("targetingKey", None)
    return EvaluationContext(targeting_key=targeting_key, attributes=attributes)


def answer(client, question: dict) -> dict:
    """Asks, and says what came of it."""
    ask = getattr(client, f"get_{question['type']}_details")
    details = ask(question["flag"], question["default"], context(question))
    error = details.error_code
    return {
        "value": details.value,
        "variant": details.variant,
        "reason": str(details.reason),
        "error": error.value if error else None,
    }


def main() -> None:
    # Providers log each answer that falls back to a default: thousands of them, as asked.
    logging.disable(logging.ERROR)
    resolver, port = sys.argv[1], int(sys.argv[2])
    changed: set[str] = set()
    told = threading.Condition()

    def note(details) -> None:
        with told:
            changed.update(details.flags_changed or [])
            told.notify_all()

    api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, note)
    connect(resolver, port)
    client = api.get_client()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.startswith("wait "):
            flag = line.split()[1]
            with told:
                if not told.wait_for(lambda: flag in changed, PATIENCE_S):
                    raise SystemExit(f"nobody said that {flag} changed")
            print("changed", flush=True)
            continue
        print(json.dumps(answer(client, json.loads(line))), flush=True)
    api.shutdown()


main()
