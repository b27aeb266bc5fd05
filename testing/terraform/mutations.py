"""Breaks copies of terraform/ and expects the checks to notice: `mutations.py ROOT DIRECTORY`.

Each is a file, what is replaced in it, by what, and a word of what has to be said about it.
"""

import contextlib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import compare
import completeness
import configuration
import schemas
from configuration import META

TERRAFORM = os.environ.get("TERRAFORM", "terraform")
DEPLOYMENT = "modules/deployment"

# Mistakes in Terraform's words: found by comparing with the schemas, and by Terraform where it is installed.
WORDS = {
    "a misspelt argument": ("modules/postgres/main.tf", r"ipv4_enabled", "ipv4_enable", "ipv4_enable"),
    "a misspelt argument of a data source": (f"{DEPLOYMENT}/main.tf", r"(\"this\" \{\n  project)_id", r"\1_ident", "project_ident"),
    "a misspelt block": ("modules/function/main.tf", r"startup_probe \{", "start_probe {", "start_probe"),
    "a wrong type": ("modules/postgres/main.tf", r"(disk_autoresize\s+)= true", r'\1= "often"', "disk_autoresize"),
    "a missing argument": ("modules/redis/main.tf", r"  memory_size_gb [^\n]*\n", "", "memory_size_gb"),
    "a value that there isn't": ("modules/function/main.tf", "INTERNAL_LOAD_BALANCER", "INTERNAL_BALANCER", "INTERNAL_BALANCER"),
    "a reference to nothing": (f"{DEPLOYMENT}/rights.tf", r"module\.redis\.url", "module.redis.uri", "redis"),
    "a variable that a module hasn't": (f"{DEPLOYMENT}/main.tf", r"memory_gb  =", "memory_mb  =", "memory_mb"),
}

# Those of them that Terraform is asked about, too: one by its own check of the schema, one by the stub's check of values.
ASKED = ("a misspelt argument of a data source", "a value that there isn't")

# Something forgotten: found by comparing with the rest of the repository.
GAPS = {
    "a function without a service": (f"{DEPLOYMENT}/functions.tf", r"    release = \{.*?\n    \}\n", "", "release"),
    "a function without a database role": (f"{DEPLOYMENT}/functions.tf", r"(heartbeat = \{.*?)\"DATABASE_URL\", ", r"\1", "heartbeat"),
    "a function without a secret": (f"{DEPLOYMENT}/functions.tf", r"(billing = \{[^}]*?), \"STRIPE_API_KEY\"", r"\1", "STRIPE_API_KEY"),
    "a function with a right too many": (f"{DEPLOYMENT}/functions.tf", r"(sync-pull = \{.*?reads\s+= \[)", r'\1"SIGNING_KEY", ', "SIGNING_KEY"),
    "a function without a route": (f"{DEPLOYMENT}/functions.tf", r", \"GET /api/v1/context/history\"", "", "history"),
    "services but for one": (f"{DEPLOYMENT}/main.tf", r"(source\s+= \"../function\"\n\s+for_each = )local\.functions", r'\1{ for n, f in local.functions : n => f if n != "auth" }', "services"),
    "alarms but for one": (f"{DEPLOYMENT}/main.tf", r"(latency_ms = it\.latency_ms \})", r'\1 if name != "auth"', "monitoring"),
    "a way in but for one": (f"{DEPLOYMENT}/main.tf", r"(opaque_body, false\) \})", r'\1 if name != "auth"', "edge"),
    "an account but for one": (f"{DEPLOYMENT}/rights.tf", r"(\"function\" \{\n  for_each = )local\.functions", r'\1{ for n, f in local.functions : n => f if n != "auth" }', "accounts"),
    "a metric of what nobody tells": ("modules/monitoring/metrics.tf", "seat_denied", "seat_declined", "seat_declined"),
    "environments that differ": ("environments/staging/outputs.tf", r"signing_key ", "signing_keys", "outputs.tf"),
    "a variable that takes anything": ("modules/redis/variables.tf", r"  validation \{.*?\n  \}\n", "", "validation"),
}


@contextlib.contextmanager
def broken(tree: pathlib.Path, file: str, pattern: str, replacement: str):
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder).resolve() / "terraform"
        shutil.copytree(tree, copy, ignore=shutil.ignore_patterns(".terraform"))
        text = (copy / file).read_text()
        changed = re.sub(pattern, replacement, text, count=1, flags=re.S)
        assert changed != text, f"{file} has no {pattern}"
        (copy / file).write_text(changed)
        yield copy


def quiet(check, *arguments) -> list[str]:
    with contextlib.redirect_stdout(io.StringIO()):
        return check(*arguments)


def validated(copy: pathlib.Path) -> str:
    place = copy / "environments/staging"
    subprocess.run([TERRAFORM, f"-chdir={place}", "get"], check=True, capture_output=True)
    done = subprocess.run([TERRAFORM, f"-chdir={place}", "validate", "-no-color"], capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def misspelt(body: dict, schema: dict):
    """Each way to misspell one name in a resource, in its blocks too: the name, and the resource with it."""
    for name, given in body.items():
        if name in META or name.startswith("__"):
            continue
        if name == "dynamic":
            for i, it in enumerate(given):
                for label, loop in ((label, loop) for label, loop in it.items() if label != "__is_block__"):
                    yield f"dynamic {label}", body | {name: given[:i] + [{f'"{label.strip(chr(34))}x"': loop}] + given[i + 1 :]}
            continue
        yield name, {(f"{key}x" if key == name else key): value for key, value in body.items()}
        if name in schema["blocks"] and isinstance(given, list):
            for i, block in enumerate(given):
                for inner, changed in misspelt(block, schema["blocks"][name]["block"]):
                    yield f"{name}.{inner}", body | {name: given[:i] + [changed] + given[i + 1 :]}


def names_nobody_checks(tree: pathlib.Path, directory: pathlib.Path) -> tuple[int, list[str]]:
    """Every name in every resource and data source, misspelt, one at a time."""
    known, count, missed = schemas.install(tree, directory), 0, []
    for module in configuration.modules(tree):
        for kind in ("resource", "data"):
            for (type_, name), body in module.typed(kind).items():
                schema = known[type_.split("_")[0]][kind][type_]
                for argument, changed in misspelt(body, schema):
                    count += 1
                    if not compare.block(changed, schema, name):
                        missed.append(f"{module.path.name}: {type_}.{name}: {argument} could be misspelt")
    return count, missed


def main(root: pathlib.Path, directory: pathlib.Path) -> int:
    tree, missed = root / "terraform", []
    for name, (file, pattern, replacement, word) in WORDS.items():
        with broken(tree, file, pattern, replacement) as copy:
            if not any(word in line for line in quiet(compare.compare, copy, directory)[1]):
                missed.append(f"{name}: the comparison with the schemas didn't notice")
            if name in ASKED and shutil.which(TERRAFORM) and word not in validated(copy):
                missed.append(f"{name}: terraform validate didn't notice")
    for name, (file, pattern, replacement, word) in GAPS.items():
        with broken(tree, file, pattern, replacement) as copy:
            if not any(word in line for line in quiet(completeness.check, root, copy)):
                missed.append(f"{name}: the comparison with the repository didn't notice")
    count, unchecked = names_nobody_checks(tree, directory)
    missed += unchecked
    for line in missed:
        print(line)
    print(f"{count} names misspelt, {len(unchecked)} not noticed")
    print(f"{len(WORDS) + len(GAPS)} copies broken on purpose, {len(missed)} not noticed")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()))
