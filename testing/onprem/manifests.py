"""What scripts/onprem rendered, against the schemas of Compose and Kubernetes: manifests.py DIR

The chart uses no more of Helm's templates than values put into their places, which is done here as Helm does it; anything
else in double braces is a mistake. Helm itself is not needed, and not tried."""

import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

KUBERNETES = "1.30"
PLACE = re.compile(r"\{\{-? *(.*?) *-?\}\}")
SECRETS = {
    "DATABASE_URL", "OWNER_DATABASE_URL", "BACKUP_DATABASE_URL", "REDIS_URL", "LICENSE_KEY_PEPPER", "ROLE_PASSWORDS",
    "redis-conf", "signing-key", "enterprise-license",
}


def rendered(text, values, chart):
    """A template with its values."""
    known = {"Release": {"Name": "coditect", "Namespace": "coditect"}, "Values": values, "Chart": chart}

    def value(match):
        expression = re.fullmatch(r"\.((?:\w+\.)*\w+)( \| quote)?", match[1])
        if not expression:
            sys.exit(f"the chart uses more of templates than can be checked: {match[0]}")
        found = known
        for part in expression[1].split("."):
            if part not in found:
                sys.exit(f"there is no value for {match[0]}")
            found = found[part]
        used.add(expression[1])
        return '"' + str(found).replace('"', '\\"') + '"' if expression[2] else str(found)

    return PLACE.sub(value, text)


def leaves(tree, path=""):
    for name, value in tree.items():
        yield from leaves(value, f"{path}{name}.") if isinstance(value, dict) else [f"{path}{name}"]


def everywhere(tree, wanted):
    """Every value of a name, wherever it is."""
    for name, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        if name == wanted:
            yield value
        yield from everywhere(value, wanted)


def careful(kind, name, pod):
    """What no pod of ours may lack."""
    assert pod["automountServiceAccountToken"] is False, f"{kind} {name} is given a token of the cluster"
    assert pod["securityContext"]["runAsNonRoot"] is True, f"{kind} {name} may run as root"
    for container in pod.get("initContainers", []) + pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and context["allowPrivilegeEscalation"] is False, f"{kind} {name}"
        assert context["capabilities"]["drop"] == ["ALL"], f"{kind} {name}"
        assert container["resources"]["limits"]["memory"], f"{kind} {name} has no limit"


def kubernetes(folder):
    chart = yaml.safe_load((folder / "Chart.yaml").read_text())
    assert chart["apiVersion"] == "v2" and chart["name"] and chart["version"], "no chart of Helm 3's"
    values = yaml.safe_load((folder / "values.yaml").read_text())
    kinds = {}
    for file in sorted((folder / "templates").iterdir()):
        for document in yaml.safe_load_all(rendered(file.read_text(), values, chart)):
            kind, name = document["kind"], document["metadata"]["name"]
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
            kinds.setdefault(kind, []).append(name)
            for pod in everywhere(document, "template"):
                if "containers" in pod["spec"]:
                    careful(kind, name, pod["spec"])
            for reference in everywhere(document, "secretKeyRef"):
                assert reference["key"] in SECRETS, f"{name} wants {reference['key']}, which is in no secret"
            for item in everywhere(document, "items"):
                assert all(entry["key"] in SECRETS for entry in item), f"{name} wants a file that is in no secret"
    unused = {f"Values.{leaf}" for leaf in leaves(values)} - used
    assert not unused, f"values that nothing uses: {unused}"
    for kind in ("Deployment", "Service", "Job", "CronJob", "NetworkPolicy", "PodDisruptionBudget"):
        assert kind in kinds, f"the chart has no {kind}"
    return sum(map(len, kinds.values()))


def compose(folder):
    schema = ["--builtin-schema", "vendor.compose-spec", str(folder / "compose.yaml")]
    subprocess.run([Path(sys.executable).with_name("check-jsonschema"), "--quiet", *schema], check=True)
    file = yaml.safe_load((folder / "compose.yaml").read_text())
    settings = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())
    text = (folder / "compose.yaml").read_text()
    for name in re.findall(r"\$\{(\w+)", text):
        assert name in settings, f"compose.yaml wants {name}, which .env doesn't say"
    for name, service in file["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} may write or do too much"
        assert "no-new-privileges:true" in service["security_opt"], f"{name} may gain rights"
        assert "inside" in service["networks"] and "privileged" not in service, name
        assert service["restart"] == "no" or "healthcheck" in service or name == "outbox", f"nobody looks after {name}"
        for path in service.get("env_file", []):
            assert (folder / path).is_file(), f"{name} wants {path}"
        for volume in service.get("volumes", []):
            assert not volume.startswith(".") or (folder / volume.split(":")[0]).is_file(), f"{name} wants {volume}"
        for secret in service.get("secrets", []):
            assert secret in file["secrets"], f"{name} wants the secret {secret}"
        for other in service.get("depends_on", {}):
            assert other in file["services"], f"{name} waits for {other}"
    for name, secret in file["secrets"].items():
        assert (folder / secret["file"]).is_file(), f"there is no secret {name}"
    outside = [name for name, service in file["services"].items() if "front" in service["networks"]]
    assert outside == ["all-in-one"] and file["networks"]["inside"]["internal"], f"{outside} can be reached"
    assert [name for name, service in file["services"].items() if service.get("ports")] == ["all-in-one"]
    return len(file["services"])


used = set()
here = Path(sys.argv[1])
print(f"   {compose(here)} services are as Compose has them, {kubernetes(here / 'chart')} objects as Kubernetes {KUBERNETES} does")
