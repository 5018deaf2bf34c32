"""A mail server made of the published aiosmtpd, which misbehaves on demand.

Usage: smtpd.py {plain|starttls|tls} [CERTIFICATE KEY] [--auth USER PASSWORD]

Says "ready PORT", then each mail it has taken as a JSON line: {"from", "to", "subject", "message_id",
"parts": [[type, text], ...], "tls"}. What it does with a recipient is in its local part:
greylist+N@ is 451 the first N times, reject@ is 550, stall@ is never answered, drop@ has the
connection cut after DATA, late@ is answered 451 after DATA.
"""

import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

SEEN: dict[str, int] = {}


def what_to_do(address: str) -> str:
    return address.split("@")[0].split("+")[0]


class Handler:
    """Keeps mails; does what the recipient says."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        word = what_to_do(address)
        if word == "reject":
            return "550 5.1.1 no such mailbox"
        if word == "stall":
            await asyncio.sleep(3600)
        if word == "greylist":
            SEEN[address] = SEEN.get(address, 0) + 1
            if SEEN[address] <= int(address.split("+")[1].split("@")[0]):
                return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [
            [part.get_content_type(), part.get_content()]
            for part in mail.walk()
            if not part.is_multipart()
        ]
        parts = [
            [kind, text.decode() if isinstance(text, bytes) else text] for kind, text in parts
        ]
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": mail["Subject"],
            "message_id": mail["Message-ID"],
            "type": mail.get_content_type(),
            "methods": [
                part.get_param("method") for part in mail.walk() if part.get_param("method")
            ],
            "parts": parts,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "authenticated": session.authenticated,
        }
        word = what_to_do(envelope.rcpt_tos[0])
        if word == "late":
            return "451 4.3.0 not just now"
        print(json.dumps(told), flush=True)
        if word == "drop":
            server.transport.abort()
            await asyncio.sleep(3600)
        return "250 2.0.0 kept"


def authenticator(user: str, password: str):
    def check(server, session, envelope, mechanism, auth_data):
        known = (
            isinstance(auth_data, LoginPassword)
            and auth_data.login == user.encode()
            and auth_data.password == password.encode()
        )
        return AuthResult(success=known, handled=False)

    return check


async def main() -> None:
    # It complains of clients that hang up, as asked.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    arguments = sys.argv[1:]
    auth = {}
    if "--auth" in arguments:
        at = arguments.index("--auth")
        user, password = arguments[at + 1 : at + 3]
        del arguments[at : at + 3]
        auth = {
            "authenticator": authenticator(user, password),
            "auth_required": True,
            "auth_require_tls": True,
        }
    mode = arguments[0]
    context = None
    if mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments[1], arguments[2])
    if mode == "starttls":
        auth |= {"tls_context": context, "require_starttls": True}
    if mode == "tls" and auth:
        auth["auth_require_tls"] = False  # It is encrypted from the first byte.
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), hostname="peer", enable_SMTPUTF8=True, **auth),
        "127.0.0.1",
        0,
        ssl=context if mode == "tls" else None,
    )
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
