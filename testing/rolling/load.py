"""People at work, for testing/rolling/run: keys validated, seats taken, kept and given back, records pushed and pulled, until the
file STOP is there. Whom they ask is in the file TARGETS, a URL on each line, read again before each round.

    load.py TARGETS STOP KEY     prints {"answered": {URL: n}, "failed": [what, …]}
"""

import http.client
import itertools
import json
import pathlib
import sys
import threading
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

targets, stop, key = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
answered, failed, lock = {}, [], threading.Lock()


def call(url, method, path, wanted, body=None, token=None):
    """One request, on a connection of its own as behind a load balancer; what isn't answered as wanted has failed."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=15)
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        with lock:
            answered[url] = answered.get(url, 0) + 1
            if answer.status not in wanted:
                failed.append(f"{url} {method} {path}: {answer.status} {text[:300].decode(errors='replace')}")
                return None
        return json.loads(text)
    except (OSError, ValueError, http.client.HTTPException) as why:
        with lock:
            failed.append(f"{url} {method} {path}: {why!r}")
        return None


def work(worker):
    machine = f"{worker:064d}"
    for n in itertools.count():
        if stop.exists():
            return
        urls = targets.read_text().split()
        turn = itertools.cycle(urls[worker % len(urls) :] + urls[: worker % len(urls)])

        def ask(method, path, wanted, body=None, token=None):
            return call(next(turn), method, path, wanted, body, token)

        valid = ask("POST", "/api/v1/licenses/validate", [200], {"license_key": key, "machine_id": machine, "version": "1"})
        if valid is not None and not valid.get("valid"):
            with lock:
                failed.append(f"validate said {valid}")
        access = (ask("POST", "/api/v1/auth/license", [200], {"license_key": key}) or {}).get("access_token")
        seat = ask("POST", "/api/v1/licenses/acquire", [200, 201], {"hardware_id": machine}, access)
        record = {"kind": "task", "id": f"{worker}-{n}", "content": {"description": "x", "status": "pending"}}
        record["updated_at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ask("POST", "/api/v1/context/push", [200], {"device_id": f"d{worker}", "records": [record]}, access)
        ask("GET", "/api/v1/context/pull?limit=10", [200], None, access)
        if seat:
            session = {"session_id": seat["session_id"]}
            ask("POST", "/api/v1/licenses/heartbeat", [200], session, seat["license_token"])
            ask("POST", "/api/v1/licenses/release", [200], session, seat["license_token"])
        time.sleep(0.01)


workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(json.dumps({"answered": answered, "failed": failed}))
