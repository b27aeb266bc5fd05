"""Compares every resource, data source, module call and reference with what there is: `compare.py TREE DIRECTORY`.

What Terraform does with the stub providers, without Terraform: arguments that a type or a module doesn't have, that are
missing, computed, or plainly of another type; values that the provider doesn't list; references to nothing. It sees less
than Terraform, which knows what expressions come to.
"""

import pathlib
import sys

import configuration
import schemas
from configuration import META, MODULE_META, bare, references

LITERALS = {"string": (str, bool, int, float), "number": (int, float), "bool": (bool,)}


def block(given: dict, schema: dict, where: str) -> list[str]:
    wrong = []
    dynamic = {bare(label): body for it in given.get("dynamic", []) for label, body in it.items() if label != "__is_block__"}
    names = {name for name in given if name not in ("dynamic", "__is_block__", "__comments__")}
    for name in sorted(names | set(dynamic)):
        nested, attribute = schema["blocks"].get(name), schema["attributes"].get(name)
        if name in META and not attribute:
            continue
        if nested:
            bodies = given.get(name, []) if isinstance(given.get(name, []), list) else []
            bodies = bodies + ([content for content in dynamic[name].get("content", [])] if name in dynamic else [])
            if nested["max"] and len(bodies) > nested["max"]:
                wrong.append(f"{where}: {name} is there {len(bodies)} times")
            for body in bodies:
                wrong += block(body, nested["block"], f"{where}.{name}")
        elif not attribute:
            wrong.append(f"{where}: there is no argument {name}")
        elif attribute["computed"] and not (attribute["optional"] or attribute["required"]):
            wrong.append(f"{where}: {name} is computed and can't be given")
        else:
            wrong += literal(given[name], attribute, f"{where}.{name}")
    for name, attribute in schema["attributes"].items():
        if attribute["required"] and name not in names:
            wrong.append(f"{where}: {name} is missing")
    for name, nested in schema["blocks"].items():
        if nested["min"] and name not in names and name not in dynamic:
            wrong.append(f"{where}: {name} is missing")
    return wrong


def literal(given, attribute: dict, where: str) -> list[str]:
    """A value that is no expression, held against its type and the values that the provider lists."""
    type_ = attribute["type"]
    if isinstance(given, str) and "${" in given or given is None or given == "null":
        return []
    given = bare(given)
    if isinstance(type_, str):
        if type_ in LITERALS and not isinstance(given, LITERALS[type_]):
            if not (type_ == "number" and isinstance(given, str) and given.isdigit()):
                return [f"{where}: {given!r} is no {type_}"]
        if type_ == "number" and isinstance(given, bool):
            return [f"{where}: {given!r} is no number"]
        if isinstance(given, str) and given not in attribute.get("values", [given]):
            return [f"{where}: {given!r} is none of {', '.join(attribute['values'])}"]
    elif type_[0] in ("list", "set") and not isinstance(given, list):
        return [f"{where}: {given!r} is no list"]
    elif type_[0] == "map" and not isinstance(given, dict):
        return [f"{where}: {given!r} is no map"]
    return []


def module_calls(module: configuration.Module) -> list[str]:
    wrong = []
    for name, body in module.labeled("module").items():
        target = configuration.module((module.path / bare(body["source"])).resolve())
        variables = target.labeled("variable")
        given = set(body) - MODULE_META - {"__is_block__", "__comments__"}
        wrong += [f"{module.path}: module {name} has no variable {it}" for it in sorted(given - set(variables))]
        needed = {it for it, variable in variables.items() if "default" not in variable}
        wrong += [f"{module.path}: module {name} is not given {it}" for it in sorted(needed - given)]
    return wrong


def dangling(module: configuration.Module, schema: dict) -> list[str]:
    known = {"resource": module.typed("resource"), "data": module.typed("data")}
    calls = module.labeled("module")
    wrong = []
    for data, kind, name, attribute in sorted(references(module.blocks)):
        said = f"{data}{kind}.{name}"
        if kind == "var":
            fine = name in module.labeled("variable")
        elif kind == "local":
            fine = name in module.locals()
        elif kind == "module":
            fine = name in calls
            if fine and attribute:
                target = configuration.module((module.path / bare(calls[name]["source"])).resolve())
                fine, said = attribute in target.labeled("output"), f"{said}.{attribute}"
        else:
            of = "data" if data else "resource"
            fine = (kind, name) in known[of]
            types = schema.get(kind.split("_")[0], {}).get(of, {}).get(kind)
            if fine and attribute and types:
                fine, said = attribute in types["attributes"] or attribute in types["blocks"], f"{said}.{attribute}"
        if not fine:
            wrong.append(f"{module.path}: {said} is nothing")
    return wrong


def compare(tree: pathlib.Path, directory: pathlib.Path) -> tuple[int, list[str]]:
    schema = schemas.install(tree, directory)
    count, wrong = 0, []
    for module in configuration.modules(tree):
        for kind in ("resource", "data"):
            for (type_, name), body in module.typed(kind).items():
                known = schema.get(type_.split("_")[0], {}).get(kind, {}).get(type_)
                if type_.startswith("terraform_"):
                    continue
                where = f"{module.path.relative_to(tree)}: {kind} {type_}.{name}"
                wrong += block(body, known, where) if known else [f"{where}: there is no such type"]
                count += 1
        wrong += module_calls(module) + dangling(module, schema)
    return count, [line.replace(f"{tree}/", "") for line in wrong]


if __name__ == "__main__":
    count, wrong = compare(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
    for line in wrong:
        print(line)
    print(f"{count} resources and data sources compared with the providers' schemas, {len(wrong)} mistakes")
    sys.exit(bool(wrong))
