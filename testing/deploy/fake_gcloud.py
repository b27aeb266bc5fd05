"""A gcloud that forgets nothing and does nothing: it keeps each service's traffic in a file, writes down every command, and
fails where it is told to (FAKE_FAIL, a regular expression over a command). What the requests' log says of a revision is told
by FAKE_REQUESTS: revision → [count, errors, seconds]."""

import json
import os
import re
import sys
from pathlib import Path

folder = Path(os.environ["FAKE_DIR"])
words = sys.argv[1:]
command = "gcloud " + " ".join(words)
with open(folder / "commands", "a") as file:
    file.write(command + "\n")
if re.search(os.environ.get("FAKE_FAIL") or r"(?!)", command):
    sys.exit("the fake was told to fail here")

state_file = folder / "services.json"
services = json.loads(state_file.read_text()) if state_file.exists() else {}
options = dict(word.removeprefix("--").partition("=")[::2] for word in words if word.startswith("--"))


def service(name):
    return services.setdefault(name, [{"revisionName": f"{name}-old", "percent": 100}])


def tag(rows, name, revision):
    for row in rows:
        if row.get("tag") == name:
            del row["tag"]
    if revision:
        row = next((row for row in rows if row["revisionName"] == revision), None)
        if not row:
            rows.append(row := {"revisionName": revision})
        # A revision may have two tags; each is a row of its own then.
        if "tag" in row:
            rows.append(row := {"revisionName": revision})
        row |= {"tag": name, "url": f"https://{name}---{revision}.run.app"}
    rows[:] = [row for row in rows if row.get("percent") or row.get("tag")]


match words:
    case ["run", "services", "describe", name, *_]:
        which, what = re.fullmatch(r'value\(status\.traffic\.filter\("(.*)"\)\.extract\((\w+)\)\.flatten\(\)\)', options["format"]).groups()
        fits = {
            "percent=100": lambda row: row.get("percent") == 100,
            "percent>0": lambda row: row.get("percent", 0) > 0,
        }.get(which, lambda row: f"tag:{row.get('tag')}" == which)
        print(";".join(row[what] for row in service(name) if fits(row)))
    case ["run", "deploy", name, *_]:
        tag(service(name), options["tag"], f"{name}-new")
    case ["run", "services", "update-traffic", name, *_]:
        rows = service(name)
        if "to-revisions" in options:
            for row in rows:
                row.pop("percent", None)
            for pair in options["to-revisions"].split(","):
                revision, percent = pair.split("=")
                row = next((row for row in rows if row["revisionName"] == revision), None)
                if not row:
                    rows.append(row := {"revisionName": revision})
                row["percent"] = int(percent)
        for pair in filter(None, options.get("update-tags", "").split(",")):
            tag(rows, *pair.split("="))
        if "remove-tags" in options:
            tag(rows, options["remove-tags"], None)
    case ["logging", "read", *_]:
        name = re.search(r"service_name=(\S+)", words[2])[1]
        lines = []
        for revision, (count, errors, seconds) in json.loads(os.environ.get("FAKE_REQUESTS", "{}")).items():
            if revision.startswith(f"{name}-"):
                for n in range(count):
                    request = {"status": 500 if n < errors else 200, "latency": f"{seconds}s"}
                    lines.append({"resource": {"labels": {"revision_name": revision}}, "httpRequest": request})
        print(json.dumps(lines))
# Atomic: stopping a deployment also ends the command that it runs.
new = folder / f"services.{os.getpid()}"
new.write_text(json.dumps(services))
new.rename(state_file)
