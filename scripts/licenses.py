"""Checks every dependency's license and source against deny.toml, from cargo's metadata alone.

`cargo deny` does this and more where it is installed; this needs nothing but Python, so that it always runs.
"""

import json
import re
import subprocess
import sys
import tomllib

with open("deny.toml", "rb") as file:
    allowed = set(tomllib.load(file)["licenses"]["allow"])

metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"]))
bad = []
for package in metadata["packages"]:
    if package["source"] is None:
        continue
    if not package["source"].startswith("registry+https://github.com/rust-lang/crates.io-index"):
        bad.append(f"{package['name']} comes from {package['source']}")
    # SPDX: an OR offers a choice, an AND asks for all of its terms.
    expression = (package["license"] or "").replace("/", " OR ")
    words = re.sub(r"[()]", " ", expression)
    fine = any(all(term.strip() in allowed for term in choice.split(" AND ")) for choice in words.split(" OR "))
    fine = fine or all(any(t.strip() in allowed for t in term.split(" OR ")) for term in words.split(" AND "))
    if not fine:
        bad.append(f"{package['name']} {package['version']}: {package['license']}")

for line in bad:
    print(line)
print(f"{len(metadata['packages'])} packages checked, {len(bad)} refused")
sys.exit(bool(bad))
