"""A mail server for tests: what it takes, it writes to a directory; nothing goes any further.

    sink.py DIR [--login USER:PASSWORD] [--no-smtputf8]

The protocol is aiosmtpd's, and mails are read by Python's own parser. Each mail becomes two files, each there whole or not
at all: NNNN.eml as it came, and NNNN.json, an object of

    sender, recipients   of the envelope
    headers              [name, value] each, decoded
    text                 the plain text, decoded, its lines ended by \\n
    defects              what the parser found wrong
    connection           which of the server's connections it came over, from 0

DIR/rules.json, read anew for each command, says what happens to a recipient: an object of address to one of

    {"rcpt": "550 5.1.1 No such user"}    the answer to RCPT
    {"data": "554 5.7.1 Not wanted"}      the answer to DATA; {mail} in it stands for the mail's text on one line
    {"hang": true}                        no answer to RCPT
    {"hold": true}                        the mail is written; the answer to DATA waits until DIR/go exists
"""

import argparse
import asyncio
import itertools
import json
import os
import pathlib
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import SMTPUTF8

from aiosmtpd.smtp import SMTP, AuthResult


class Sink:
    def __init__(self, directory):
        self.directory = directory
        self.numbers = itertools.count()
        self.connections = {}

    def rule(self, address):
        try:
            return json.loads((self.directory / "rules.json").read_text()).get(address, {})
        except FileNotFoundError:
            return {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        rule = self.rule(address)
        if rule.get("hang"):
            await asyncio.sleep(3600)
        if "rcpt" in rule:
            return rule["rcpt"]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        rules = [self.rule(address) for address in envelope.rcpt_tos]
        for rule in rules:
            if "data" in rule:
                return rule["data"].replace("{mail}", envelope.content.decode("latin-1").replace("\r\n", " "))
        self.write(session, envelope)
        while any("hold" in rule for rule in rules) and not (self.directory / "go").exists():
            await asyncio.sleep(0.01)
        return "250 2.0.0 Kept"

    def write(self, session, envelope):
        mail = message_from_bytes(envelope.content, policy=SMTPUTF8)
        # The newer parser shows the blanks between the encoded words of a name, which RFC 2047 says are none.
        plain = message_from_bytes(envelope.content)
        told = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "headers": [[name, str(make_header(decode_header(value)))] for name, value in plain.items()],
            "text": mail.get_content().replace("\r\n", "\n"),
            "defects": [repr(defect) for part in mail.walk() for defect in part.defects]
            + [repr(defect) for value in mail.values() for defect in value.defects],
            "connection": self.connections.setdefault(session.peer, len(self.connections)),
        }
        number = f"{next(self.numbers):04}"
        self.put(f"{number}.eml", envelope.content)
        self.put(f"{number}.json", json.dumps(told).encode())

    def put(self, name, content):
        fresh = self.directory / f"{name}.fresh"
        fresh.write_bytes(content)
        os.rename(fresh, self.directory / name)


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("directory", type=pathlib.Path)
    arguments.add_argument("--login")
    arguments.add_argument("--no-smtputf8", action="store_true")
    given = arguments.parse_args()

    def authenticate(server, session, envelope, mechanism, data):
        told = f"{data.login.decode()}:{data.password.decode()}"
        return AuthResult(success=told == given.login, handled=False)

    options = {"enable_SMTPUTF8": not given.no_smtputf8, "hostname": "sink.example.com"}
    if given.login:
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    sink = Sink(given.directory)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, loop=loop, **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
