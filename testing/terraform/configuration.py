"""Terraform files as Python sees them: modules with their blocks, read by python-hcl2."""

import pathlib
import re
from dataclasses import dataclass, field
from functools import lru_cache

import hcl2

META = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"}
# Arguments of a module block that are no variables of the module.
MODULE_META = {"source", "version", "providers", "count", "for_each", "depends_on"}


@dataclass
class Module:
    """A folder of Terraform files."""

    path: pathlib.Path
    blocks: dict[str, list[dict]] = field(default_factory=dict)

    def labeled(self, kind: str) -> dict[str, dict]:
        """Blocks with one label: variables, outputs, modules."""
        return {bare(label): body for block in self.blocks.get(kind, []) for label, body in block.items()}

    def typed(self, kind: str) -> dict[tuple[str, str], dict]:
        """Resources or data sources, by type and name."""
        pairs = [(bare(type_), named) for block in self.blocks.get(kind, []) for type_, named in block.items()]
        return {(type_, bare(name)): body for type_, named in pairs for name, body in named.items()}

    def locals(self) -> dict:
        return {name: value for block in self.blocks.get("locals", []) for name, value in block.items() if name != "__is_block__"}


def bare(text):
    """A quoted string without its quotes; anything else as it is."""
    return text[1:-1] if isinstance(text, str) and len(text) > 1 and text[0] == text[-1] == '"' else text


def value(parsed):
    """A literal structure in Python's own types; an expression stays a string that begins with ${."""
    if isinstance(parsed, dict):
        return {bare(key): value(item) for key, item in parsed.items() if not str(key).startswith("__")}
    if isinstance(parsed, list):
        return [value(item) for item in parsed]
    return bare(parsed)


@lru_cache
def _parsed(text: str) -> dict:
    return hcl2.loads(text)


@lru_cache
def module(path: pathlib.Path) -> Module:
    read = Module(path)
    for file in sorted(path.glob("*.tf")):
        for kind, blocks in _parsed(file.read_text()).items():
            if isinstance(blocks, list) and not kind.startswith("__"):
                read.blocks.setdefault(kind, []).extend(blocks)
    return read


def modules(tree: pathlib.Path) -> list[Module]:
    folders = sorted({file.parent for file in tree.rglob("*.tf") if ".terraform" not in file.parts})
    return [module(folder) for folder in folders]


REFERENCE = re.compile(
    r"(?<![\w.\"-])(data\.)?((?:google|random)_\w+|var|local|module)\.([\w-]+)(?:\[(?:[^\[\]]|\[[^\]]*\])*\])?(?:\.([\w-]+))?"
)


def references(parsed) -> set[tuple[str, str, str, str]]:
    """What an expression anywhere in a structure refers to: data., kind, name, attribute."""
    if isinstance(parsed, dict):
        inner = [item for key, item in parsed.items() if key != "__comments__"]
        keys = [key for key in parsed if "${" in str(key)]
        return set().union(*map(references, inner + keys), set())
    if isinstance(parsed, list):
        return set().union(*map(references, parsed), set())
    text = parsed if isinstance(parsed, str) else ""
    # Words of a plain string are no references; what is between ${ and } is.
    if text.startswith('"'):
        text = " ".join(_interpolations(text))
    return set(REFERENCE.findall(text))


def _interpolations(text: str) -> list[str]:
    found, start = [], text.find("${")
    while start >= 0:
        depth, end = 1, start + 2
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        found.append(text[start + 2 : end - 1])
        start = text.find("${", end)
    return found
