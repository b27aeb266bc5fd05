// Compares webhook events with what Stripe's own libraries declare: each event becomes a literal of the library's type for
// its kind, in the library of its API version, and the TypeScript compiler says what is missing, unknown or of another
// type. Reads events from standard input, a line of JSON each; prints what is wrong, and exits with 1 if anything is.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));
const events = readFileSync(0, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const versions = [...new Set(events.map((event) => event.api_version))];

// Decimals are strings on the wire; newer libraries make numbers of their own of them.
const literal = (event) =>
  JSON.stringify(event, null, 1).replace(/^(\s*"\w+_decimal": )("[\d.]+")/gm, '$1$2 as unknown as (string & Stripe.Decimal)');

function check(version, events) {
  const from = `stripe-${version}`;
  // The older library declares its types as those of a module `stripe`, whatever it is installed as.
  const older = version < '2025';
  const lines = older
    ? [`/// <reference path="node_modules/${from}/types/index.d.ts" />`, `import Stripe from 'stripe';`]
    : [`import Stripe from '${from}';`];
  if (older) lines.push('declare module "stripe" { namespace Stripe { type Decimal = string } }');
  const source = events.map((event, n) => `const e${n}: Extract<Stripe.Event, { type: '${event.type}' }> = ${literal(event)};`);
  const file = join(here, `events-${version}-${process.pid}.ts`);
  writeFileSync(file, [...lines, ...source].join('\n'));
  const program = ts.createProgram([file], {
    strict: true, noEmit: true, skipLibCheck: true, typeRoots: [join(here, 'node_modules/@types')], types: ['node'], exactOptionalPropertyTypes: true,
    module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022,
  });
  rmSync(file);
  const wrong = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
  return wrong.map((d) => {
    const before = d.file?.text.slice(0, d.start) ?? '';
    const of = before.match(/type: '[^']+'/g)?.at(-1) ?? 'all';
    return `${version}, ${of}, line ${before.split('\n').length}: ${ts.flattenDiagnosticMessageText(d.messageText, '\n')}`;
  });
}

if (events.length === 0) throw new Error('no events to check');
const wrong = versions.flatMap((version) => check(version, events.filter((event) => event.api_version === version)));
console.log(wrong.length ? wrong.join('\n') : `${events.length} events are as Stripe declares them.`);
process.exitCode = wrong.length ? 1 : 0;
