"""Makes stubs of the providers that a tree of Terraform files uses: `schemas.py TREE DIRECTORY`.

DIRECTORY holds the wheels of the bindings. It gets the schemas, an executable for each provider, and a configuration file
for Terraform that takes those instead of asking a registry.
"""

import pathlib
import re
import sys

import bindings

PROVIDERS = {"google": "hashicorp/google", "random": "hashicorp/random"}
USED = re.compile(r'^\s*(resource|data)\s+"((\w+?)_\w+)"\s+"', re.M)


def used(tree: pathlib.Path) -> dict[str, set[tuple[str, str]]]:
    """The types that a tree names, by provider."""
    wanted = {provider: set() for provider in PROVIDERS}
    for file in sorted(tree.rglob("*.tf")):
        for kind, type_name, provider in USED.findall(file.read_text()):
            if provider in wanted:
                wanted[provider].add((kind, type_name))
    return wanted


def install(tree: pathlib.Path, directory: pathlib.Path) -> dict:
    schemas = bindings.read(directory, used(tree))
    program = pathlib.Path(__file__).with_name("provider.py")
    overrides = []
    for provider, source in PROVIDERS.items():
        home = directory / "providers" / provider
        home.mkdir(parents=True, exist_ok=True)
        executable = home / f"terraform-provider-{provider}"
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "{directory}" {provider}\n')
        executable.chmod(0o755)
        overrides.append(f'    "{source}" = "{home}"\n')
    rc = "provider_installation {\n  dev_overrides {\n" + "".join(overrides) + "  }\n  direct {}\n}\n"
    (directory / "terraformrc").write_text(rc)
    return schemas


if __name__ == "__main__":
    install(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
