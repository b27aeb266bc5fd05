"""Compares the table of functions in terraform/ with the rest of the repository: `completeness.py ROOT [TREE]`.

Which functions there are (functions/), what they read (docs/configuration.md), their routes (README.md), their database
roles (docs/grants.md), the size of their pools (common/), and that nothing leaves one of them out.
"""

import json
import pathlib
import re
import sys

import configuration

# Variables for tests: other endpoints than the real ones.
FOR_TESTS = {"KMS_ENDPOINT", "STRIPE_API_BASE"}
# Cloud Run's own.
PLATFORM = {"PORT"}
# Variables that only all-in-one reads are for installations on premises.
ELSEWHERE = {"all-in-one"}


class Repository:
    def __init__(self, root: pathlib.Path, tree: pathlib.Path) -> None:
        self.root, self.tree = root, tree
        self.table = configuration.value(configuration.module(tree / "modules/deployment").locals())
        self.functions = self.table["functions"]

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def folders(self) -> set[str]:
        return {path.parent.name for path in self.root.glob("functions/*/Cargo.toml")}

    def variables(self) -> dict[str, set[str]]:
        """Variable → who reads it, of docs/configuration.md."""
        rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", self.text("docs/configuration.md"), re.M)
        return {name: set(readers.split(", ")) for name, readers in rows}


def functions(of: Repository) -> list[str]:
    there, known = of.folders(), set(of.functions)
    return [f"{it}: the function has no row in the table, and so no service" for it in sorted(there - known)] + [
        f"{it}: a row for a function that isn't there" for it in sorted(known - there)
    ]


def readings(of: Repository) -> list[str]:
    wrong, variables = [], of.variables()
    everybody = {name for name, readers in variables.items() if readers == {"every function"}}
    for name, row in of.functions.items():
        documented = {variable for variable, readers in variables.items() if name in readers} - FOR_TESTS
        wrong += [f"{name}: {it} is read and not given" for it in sorted(documented - set(row["reads"]))]
        wrong += [f"{name}: {it} is given and not read" for it in sorted(set(row["reads"]) - documented)]
    wrong += [f"{it}: given to all, and not every function reads it" for it in sorted(set(of.table["everywhere"]) - everybody)]
    given = set(of.table["settings"]) | set(of.table["shared"]) | {"DATABASE_URL"}
    elsewhere = {name for name, readers in variables.items() if readers == ELSEWHERE}
    for name in sorted(set(variables) - FOR_TESTS - PLATFORM - elsewhere - given):
        wrong.append(f"{name}: neither a setting nor a secret")
    for name, job in of.table["jobs"].items():
        wrong += [f"job {name}: {it} is no variable" for it in sorted(set(job["reads"]) - set(variables))]
        command = " ".join(["ops", *job["arguments"]])
        if f"`{command}`" not in of.text("docs/operations.md") and f'"{name}"' not in of.text("scripts/deploy"):
            wrong.append(f"job {name}: docs/operations.md doesn't know {command}")
        if f'"{name}"' not in of.text("scripts/deploy"):
            wrong.append(f"job {name}: scripts/deploy leaves it at its first image")
    return wrong


def roles(of: Repository) -> list[str]:
    granted = set(re.findall(r"^## coditect_(\w+)$", of.text("docs/grants.md"), re.M))
    wanted = {name.replace("-", "_") for name, row in of.functions.items() if "DATABASE_URL" in row["reads"]}
    return [f"coditect_{it}: the migrations make no such role" for it in sorted(wanted - granted)]


def routes(of: Repository) -> list[str]:
    rows = re.findall(r"^\| `([A-Z]+ /\S+)` \| \[functions/([\w-]+)\]", of.text("README.md"), re.M)
    written = {(route, name) for route, name in rows}
    tabled = {(route, name) for name, row in of.functions.items() for route in row["routes"]}
    return [f"{name}: {route} leads nowhere" for route, name in sorted(written - tabled)] + [
        f"{name}: README.md doesn't know {route}" for route, name in sorted(tabled - written)
    ]


def pools(of: Repository) -> list[str]:
    size = int(re.search(r"const POOL_SIZE: usize = (\d+);", of.text("common/src/postgres.rs"))[1])
    return [] if size == of.table["pool_size"] else [f"pool_size is {of.table['pool_size']}, POOL_SIZE {size}"]


def memory(of: Repository) -> list[str]:
    """The budgets that the concurrency is computed from are those of the programs, and every user of one says so."""
    wrong, text = [], of.text("common/src/memory.rs")
    for budget in ("bodies", "work"):
        size = int(re.search(rf"const {budget.upper()}_MIB: u32 = (\d+);", text)[1])
        if size != of.table["memory_mib"][budget]:
            wrong.append(f"memory_mib.{budget} is {of.table['memory_mib'][budget]}, {budget.upper()}_MIB {size}")
        for name, row in of.functions.items():
            sources = "".join(path.read_text() for path in (of.root / "functions" / name / "src").rglob("*.rs"))
            uses = {"bodies": "RawBody" in sources or "read_json" in sources, "work": "WORK" in sources}[budget]
            if uses != (budget in row.get("budgets", [])):
                wrong.append(f"{name}: its budgets and its program's use of {budget} differ")
    return wrong


def nobody_left_out(of: Repository) -> list[str]:
    """Whatever is made for each function is made for all of them: no loop over the table has a condition of its own."""
    wrong = []
    deployment = configuration.module(of.tree / "modules/deployment")
    calls = {name: json.dumps(body) for name, body in deployment.labeled("module").items()}
    accounts = deployment.typed("resource").get(("google_service_account", "function"), {})
    if accounts.get("for_each") != "${local.functions}":
        wrong.append("service accounts are not made for every function")
    if '"for_each": "${local.functions}"' not in calls.get("function", ""):
        wrong.append("services are not made for every function")
    for name in ("edge", "monitoring"):
        loop = re.search(r"for name, it in local\.functions\s*:\s*name => \{(.*?)\}[^}]*?\}", calls.get(name, ""))
        if not loop or " if " in loop[0]:
            wrong.append(f"{name} is not given every function")
    alarms = configuration.module(of.tree / "modules/monitoring").typed("resource")
    for name, over in (("availability", "${local.burns}"), ("latency", "${var.functions}")):
        if alarms.get(("google_monitoring_alert_policy", name), {}).get("for_each") != over:
            wrong.append(f"alarms for {name} are not made for every function")
    return wrong


def environments(of: Repository) -> list[str]:
    """Staging and production differ by what main.tf says, and by nothing else."""
    wrong = []
    for file in ("variables.tf", "outputs.tf", "versions.tf", "tests/environment.tftest.hcl"):
        texts = {(of.tree / "environments" / name / file).read_text() for name in ("staging", "production")}
        if len(texts) > 1:
            wrong.append(f"environments/*/{file} differ")
    return wrong


def described(of: Repository) -> list[str]:
    wrong = []
    for module in configuration.modules(of.tree):
        where = module.path.relative_to(of.tree)
        for name, body in module.labeled("variable").items():
            wrong += [f"{where}: variable {name} has no {it}" for it in ("description", "type", "validation") if it not in body]
        for name, body in module.labeled("output").items():
            wrong += [] if "description" in body else [f"{where}: output {name} has no description"]
    return wrong


def runbook(of: Repository) -> list[str]:
    """Each alarm's link leads to a section that is there."""
    texts = "".join(path.read_text() for path in (of.tree / "modules/monitoring").glob("*.tf"))
    sections = set(re.findall(r'section\s*=\s*"([a-z-]+)"|runbook_url\}#([a-z-]+)', texts))
    wanted = {one or other for one, other in sections}
    if not (of.root / "docs/runbook.md").exists():
        print(f"docs/runbook.md is not there yet; alarms link to {len(wanted)} sections of it")
        return []
    headings = re.findall(r"^#+ (.+)$", of.text("docs/runbook.md"), re.M)
    there = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return [f"docs/runbook.md has no section {it}" for it in sorted(wanted - there)]


def facts(of: Repository) -> list[str]:
    """Metrics are made of facts that are logged, and of fields that they have."""
    sections = re.split(r"^### ", of.text("docs/observability.md"), flags=re.M)[1:]
    told = {text.split("\n")[0]: dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.M)) for text in sections}
    wrong = []
    for name, it in configuration.value(configuration.module(of.tree / "modules/monitoring").locals())["facts"].items():
        fields = told.get(it["fact"])
        if fields is None:
            wrong.append(f"metric {name}: nobody tells {it['fact']}")
            continue
        wrong += [f"metric {name}: {label} is no label of {it['fact']}" for label in it["labels"] if fields.get(label) != "label"]
        if it["value"] and it["value"] != "null" and fields.get(it["value"]) in (None, "label", "id"):
            wrong.append(f"metric {name}: {it['value']} is no number of {it['fact']}")
    return wrong


CHECKS = (functions, readings, roles, routes, pools, memory, nobody_left_out, environments, described, runbook, facts)


def check(root: pathlib.Path, tree: pathlib.Path) -> list[str]:
    repository = Repository(root, tree)
    return [line for it in CHECKS for line in it(repository)]


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]).resolve()
    wrong = check(root, pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else root / "terraform")
    for line in wrong:
        print(line)
    print(f"{len(CHECKS)} comparisons of terraform/ with the repository, {len(wrong)} mistakes")
    sys.exit(bool(wrong))
