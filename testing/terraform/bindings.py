"""Makes stubs of the providers that a tree of Terraform files uses: `bindings.py TREE DIRECTORY`.

DIRECTORY holds the language bindings that are published for them on PyPI. It gets the schemas, an executable for each provider
(provider.py), and a configuration file for Terraform that takes those instead of asking a registry.

A wheel of `cdktf-cdktf-provider-NAME` carries a JavaScript module for each resource and data source, generated from the
provider's own schema: which arguments there are, of what type, which must be set, which blocks hold which. Nothing is run:
the modules are regular enough to be read with expressions. Their type declarations hold the descriptions, and with them the
values that an argument may have.

Left out, because the bindings do not say it: which arguments exclude each other, and patterns that values must match.
"""

import json
import pathlib
import re
import sys
import tarfile
import zipfile

PROVIDERS = {"google": "hashicorp/google", "random": "hashicorp/random"}
TYPES = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "BooleanMap": ["map", "bool"],
    "NumberMap": ["map", "number"],
}
# Providers compute these where they are not given, which the bindings do not tell.
COMPUTED_TOO = {"id", "project", "region", "zone", "location"}

FLAGS = r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)"
GETTER = re.compile(
    rf"(?:{FLAGS}\s+)?get (\w+)\(\) \{{\s+return (cdktf\.Fn\.tolist\()?this\.get(\w+)Attribute\('(\w+)'\)"
)
MEMBER = re.compile(rf"{FLAGS}\s+this\._(\w+) = new (\w+)\(this, \"(\w+)\"(?:, (true|false))?")
VALUES = re.compile(r"Possible values: \[([^\]]*)\](?:(?!\*/).)*?\*/\s+readonly (\w+)\??:", re.S)


def _schemas(provider: str, directory: pathlib.Path, types: list[tuple[str, str]]) -> dict:
    """Schemas of some types of a provider, `{kind: {type: block}}`, without those that it doesn't have."""
    folders = {
        f"package/lib/{f'data-{provider}-' if kind == 'data' else ''}{name.removeprefix(provider + '_').replace('_', '-')}": (kind, name)
        for kind, name in types
    }
    texts = {}
    (wheel,) = directory.glob(f"cdktf_cdktf_provider_{provider}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (inner,) = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        # Once from its beginning to its end, because a compressed archive can't be read in another order.
        with archive.open(inner) as compressed, tarfile.open(fileobj=compressed, mode="r|gz") as modules:
            for member in modules:
                folder, _, file = member.name.rpartition("/")
                if folder in folders and file in ("index.js", "index.d.ts"):
                    texts[folder, file] = modules.extractfile(member).read().decode()
    schemas = {"resource": {}, "data": {}}
    for folder, (kind, name) in folders.items():
        if (folder, "index.js") in texts:
            schemas[kind][name] = _Module(texts[folder, "index.js"], texts[folder, "index.d.ts"]).root()
    return schemas


class _Module:
    """One module: the classes of a resource and of the blocks within it."""

    def __init__(self, code: str, declarations: str) -> None:
        self._code = code
        self._declarations = declarations

    def root(self) -> dict:
        name = re.search(r"class (\w+) extends cdktf\.Terraform(?:Resource|DataSource) ", self._code)[1]
        return self._block(name, f"{name}Config")

    def _class(self, name: str) -> str:
        start = self._code.index(f"class {name} extends ")
        return self._code[start : self._code.index(f"\nexports.{name} = {name};", start)]

    def _block(self, class_name: str, interface: str) -> dict:
        """Arguments, exported attributes and nested blocks of one class."""
        text, values = self._class(class_name), self._values(interface)
        attributes, blocks = {}, {}
        for _, computed, *_, camel, is_set, getter, name in GETTER.findall(text):
            is_argument = f"set {camel}(" in text
            if not is_argument and computed != "true":
                continue
            can_be_left_out = f"reset{camel[0].upper()}{camel[1:]}()" in text
            type_ = TYPES.get(getter, "dynamic")
            attributes[name] = {
                "type": ["set", *type_[1:]] if is_set else type_,
                "required": is_argument and not can_be_left_out,
                "optional": is_argument and can_be_left_out,
                "computed": not is_argument or name in COMPUTED_TOO,
            }
            if camel in values and type_ == "string":
                attributes[name]["values"] = values[camel]
        for name, _, optional, required, _, class_, _, is_set in MEMBER.findall(text):
            many = f"class {class_} extends cdktf.ComplexList" in self._code
            if "ComplexList" not in text and class_.endswith("Map"):
                continue
            element = re.search(r"return new (\w+)\(", self._class(class_))[1] if many else class_
            inner = self._block(element, element.removesuffix("OutputReference"))
            if "true" in (optional, required):
                nesting = "single" if name == "timeouts" else "set" if is_set == "true" else "list"
                at_most = 0 if many or nesting == "single" else 1
                blocks[name] = {"nesting": nesting, "min": int(required == "true"), "max": at_most, "block": inner}
            else:
                type_ = ["set" if is_set == "true" else "list", _object(inner)]
                attributes[name] = {"type": type_, "required": False, "optional": False, "computed": True}
        return {"attributes": attributes, "blocks": blocks}

    def _values(self, interface: str) -> dict[str, list[str]]:
        """The values that an interface's properties may have, where their description lists them."""
        found = re.search(rf"export interface {interface} [^{{]*\{{(.*?)\n\}}", self._declarations, re.S)
        return {camel: re.findall(r'"([^"]+)"', listed) for listed, camel in VALUES.findall(found[1] if found else "")}


def _object(block: dict) -> list:
    fields = {name: attribute["type"] for name, attribute in block["attributes"].items()}
    fields |= {name: ["list", _object(nested["block"])] for name, nested in block["blocks"].items()}
    return ["object", fields]


def install(tree: pathlib.Path, directory: pathlib.Path) -> None:
    used = set().union(*(re.findall(r'^(resource|data) "((\w+?)_\w+)"', file.read_text(), re.M) for file in tree.rglob("*.tf")))
    overrides = ""
    for provider, source in PROVIDERS.items():
        types = [(kind, name) for kind, name, of in sorted(used) if of == provider]
        (directory / f"{provider}.json").write_text(json.dumps(_schemas(provider, directory, types)))
        home = directory / "providers" / provider
        home.mkdir(parents=True, exist_ok=True)
        executable = home / f"terraform-provider-{provider}"
        program = pathlib.Path(__file__).with_name("provider.py")
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "{directory}" {provider}\n')
        executable.chmod(0o755)
        overrides += f'    "{source}" = "{home}"\n'
    (directory / "terraformrc").write_text(f"provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n  direct {{}}\n}}\n")


if __name__ == "__main__":
    install(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
