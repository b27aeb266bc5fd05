"""Compares the table of functions in terraform/ with the rest of the repository.

The functions that there are (functions/), the variables that they read (docs/configuration.md), their routes (README.md),
their database roles (docs/grants.md), the sizes of their pools and budgets (common/). That each function of the table gets
everything is checked by terraform/modules/deployment/tests.
"""

import pathlib
import re
import sys
from functools import cache

import hcl2
from hcl2.utils import SerializationOptions

ROOT = pathlib.Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
PLAIN = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)

# Variables for tests: other endpoints than the real ones.
FOR_TESTS = {"KMS_ENDPOINT", "STRIPE_API_BASE"}
# Cloud Run's own.
PLATFORM = {"PORT"}
# Variables that only all-in-one reads are for installations on premises.
ELSEWHERE = {"all-in-one"}


def text(path: str) -> str:
    return (ROOT / path).read_text()


@cache
def module(folder: pathlib.Path) -> dict[str, dict]:
    """Locals, variables and outputs of a module, by name."""
    kinds = {"locals": {}, "variable": {}, "output": {}}
    for file in folder.glob("*.tf"):
        parsed = hcl2.loads(file.read_text(), serialization_options=PLAIN)
        for kind, named in kinds.items():
            for block in parsed.get(kind, []):
                named.update(block)
    return kinds


TABLE = module(TERRAFORM / "modules/deployment")["locals"]
FUNCTIONS = TABLE["functions"]


def differences(one: set, other: set, only_one: str, only_other: str):
    yield from (f"{it}: {only_one}" for it in sorted(one - other))
    yield from (f"{it}: {only_other}" for it in sorted(other - one))


def functions():
    there = {path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")}
    yield from differences(there, set(FUNCTIONS), "the function has no row in the table, and so no service", "a row for a function that isn't there")


def readings():
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", text("docs/configuration.md"), re.M)
    readers = {name: set(listed.split(", ")) for name, listed in rows}
    for name, row in FUNCTIONS.items():
        documented = {variable for variable in readers if name in readers[variable]} - FOR_TESTS
        yield from (f"{name}: {line}" for line in differences(documented, set(row["reads"]), "is read and not given", "is given and not read"))
    for name in sorted(set(TABLE["everywhere"]) - {name for name in readers if readers[name] == {"every function"}}):
        yield f"{name}: given to all, and not every function reads it"
    given = {*TABLE["settings"], *TABLE["shared"], "DATABASE_URL"}
    elsewhere = {name for name in readers if readers[name] == ELSEWHERE}
    for name in sorted(set(readers) - FOR_TESTS - PLATFORM - elsewhere - given):
        yield f"{name}: neither a setting nor a secret"
    for name, job in TABLE["jobs"].items():
        yield from (f"job {name}: {it} is no variable" for it in sorted(set(job["reads"]) - set(readers)))


def jobs():
    deploy = text("scripts/deploy")
    yield from (f"job {name}: scripts/deploy leaves it at its first image" for name in TABLE["jobs"] if f'"{name}"' not in deploy)


def roles():
    granted = set(re.findall(r"^## coditect_(\w+)$", text("docs/grants.md"), re.M))
    wanted = {name.replace("-", "_") for name, row in FUNCTIONS.items() if "DATABASE_URL" in row["reads"]}
    yield from (f"coditect_{it}: the migrations make no such role" for it in sorted(wanted - granted))


def routes():
    rows = re.findall(r"^\| `([A-Z]+ /\S+)` \| \[functions/([\w-]+)\]", text("README.md"), re.M)
    written = {f"{name}: {route}" for route, name in rows}
    tabled = {f"{name}: {route}" for name, row in FUNCTIONS.items() for route in row["routes"]}
    yield from differences(written, tabled, "leads nowhere", "README.md doesn't know it")


def sizes():
    """Pools and budgets, from which connections and concurrency are computed, are those of the programs."""
    of_table = {"POOL_SIZE: usize": TABLE["pool_size"]} | {f"{it.upper()}_MIB: u32": TABLE["memory_mib"][it] for it in ("bodies", "work")}
    sources = text("common/src/postgres.rs") + text("common/src/memory.rs")
    for constant, size in of_table.items():
        if f"const {constant} = {size};" not in sources:
            yield f"{constant} is not {size}, as the table says"


def budgets():
    """Each function that uses a budget of memory says so, and no other."""
    for name, row in FUNCTIONS.items():
        program = "".join(path.read_text() for path in (ROOT / "functions" / name / "src").rglob("*.rs"))
        uses = {"bodies": "RawBody" in program or "read_json" in program, "work": "WORK" in program}
        if {it for it in uses if uses[it]} != set(row.get("budgets", [])):
            yield f"{name}: its budgets and its program's differ"


def described():
    """An environment's variables have their types and rules in the module."""
    for folder in sorted({file.parent for file in TERRAFORM.rglob("*.tf")}):
        wanted = {"variable": ["description", "type", "validation"], "output": ["description"]}
        if folder.parent.name == "environments":
            wanted["variable"] = ["description"]
        for kind, needed in wanted.items():
            for name, body in module(folder)[kind].items():
                yield from (f"{folder.relative_to(ROOT)}: {kind} {name} has no {it}" for it in needed if it not in body)


def runbook():
    """Each alarm's link leads to a section that is there."""
    monitoring = "".join(path.read_text() for path in (TERRAFORM / "modules/monitoring").glob("*.tf"))
    wanted = set(re.findall(r'(?:section\s*=\s*"|runbook_url\}#)([a-z-]+)', monitoring))
    there = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text("docs/runbook.md"), re.M)}
    yield from (f"docs/runbook.md has no section {it}" for it in sorted(wanted - there))


def facts():
    """Metrics are made of facts that are logged, and of fields that they have."""
    sections = re.split(r"^### ", text("docs/observability.md"), flags=re.M)[1:]
    logged = {section.split("\n")[0]: dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.M)) for section in sections}
    for name, it in module(TERRAFORM / "modules/monitoring")["locals"]["facts"].items():
        fields = logged.get(it["fact"])
        if fields is None:
            yield f"metric {name}: {it['fact']} is not logged"
            continue
        yield from (f"metric {name}: {label} is no label of {it['fact']}" for label in it["labels"] if fields.get(label) != "label")
        if it["value"] and it["value"] != "null" and fields.get(it["value"]) in (None, "label", "id"):
            yield f"metric {name}: {it['value']} is no number of {it['fact']}"


CHECKS = (functions, readings, jobs, roles, routes, sizes, budgets, described, runbook, facts)

if __name__ == "__main__":
    wrong = [line for check in CHECKS for line in check()]
    print(*wrong, f"{len(CHECKS)} comparisons of terraform/ with the repository, {len(wrong)} mistakes", sep="\n")
    sys.exit(bool(wrong))
