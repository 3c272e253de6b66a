// Fills the tables of docs/ that follow from the code, between their marks:  node tools/generate-docs.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type FaultName, faults } from '../src/base/faults.ts';
import { invariant } from '../src/base/invariant.ts';
import { kafkaErrors } from '../src/base/kafka-errors.ts';
import { limits } from '../src/base/limits.ts';
import { brokerSettingSpecs } from '../src/broker/broker-settings.ts';
import { groupSettingSpecs } from '../src/broker/group-settings.ts';
import { type SettingSpec, topicSettingSpecs } from '../src/broker/topic-settings.ts';
import { brokerFlags, type Command, commonFlags, type Flags } from '../src/cli/command.ts';
import { commands, isGroup } from '../src/cli/commands.ts';
import { handlers } from '../src/server/handlers/index.ts';
import { plantedBugEntries } from './planted-bugs/document.ts';

const root = new URL('..', import.meta.url);

export const generatedPages = [
  'docs/protocol.md',
  'docs/operations.md',
  'docs/sdk.md',
  'docs/cli.md',
  'docs/planted-bugs.md',
] as const;

const tables: Readonly<Record<string, () => string | Promise<string>>> = {
  apis: () =>
    table(
      ['API', 'key', 'versions'],
      handlers.map(({ api, key, versions: [first, last] }) => [api, key, range(first, last)]),
    ),
  faults: () =>
    table(
      ['fault', 'Kafka', 'retriable', 'says'],
      Object.keys(faults).map((name) => faultRow(name as FaultName)),
    ),
  'broker settings': () => {
    const inherited = new Set(Object.values<SettingSpec>(topicSettingSpecs).map(({ brokerName }) => brokerName));
    const own = [...brokerSettingSpecs].filter(([name]) => !inherited.has(name));
    return table(
      ['setting', 'default', ''],
      own.map(([name, spec]) => [code(name), code(spec.default), spec.says]),
    );
  },
  'group settings': () =>
    table(
      ['setting', "the broker's", ''],
      Object.entries(groupSettingSpecs).map(([name, { brokerName, says }]) => [code(name), code(brokerName), says]),
    ),
  'topic settings': () =>
    table(
      ['setting', 'default', "the broker's", ''],
      Object.entries<SettingSpec>(topicSettingSpecs).map(([name, { default: value, brokerName, says }]) => [
        code(name),
        code(value),
        brokerName === name ? 'the same' : code(brokerName ?? ''),
        says,
      ]),
    ),
  limits: () =>
    table(
      ['limit', 'value', ''],
      documented('src/base/limits.ts').map(([name, says]) => [
        code(name),
        limits[name as keyof typeof limits].toLocaleString('en'),
        says,
      ]),
    ),
  'exit codes': () =>
    table(
      ['code', ''],
      documented('src/cli/exit-codes.ts').map(([, says, value]) => [value, says]),
    ),
  flags: flagTables,
  'planted bugs': plantedBugEntries,
};

/** A page with its tables as they follow from the code now. */
export async function generatePage(page: string): Promise<string> {
  let text = readPage(page);
  for (const [, name] of text.matchAll(/^<!-- generated: (.*) -->$/gm)) {
    const make = tables[name!];
    invariant(make !== undefined, 'no such table', { page, name });
    const marked = new RegExp(`^<!-- generated: ${name} -->\n.*?^<!-- end -->$`, 'ms');
    const made = await make();
    text = text.replace(marked, () => `<!-- generated: ${name} -->\n\n${made}\n\n<!-- end -->`);
  }
  return text;
}

export async function writePage(page: string): Promise<void> {
  writeFileSync(new URL(page, root), await generatePage(page));
}

export function readPage(page: string): string {
  return readFileSync(new URL(page, root), 'utf8');
}

function faultRow(name: FaultName): readonly Cell[] {
  const { kafka, says, ...rest }: { kafka: keyof typeof kafkaErrors; says: string; retriable?: boolean } = faults[name];
  return [code(name), kafka, (rest.retriable ?? kafkaErrors[kafka].retriable) ? 'yes' : '', says];
}

/** The entries of the one constant object of a source file, with what its comments say of each: name, comment, value. */
function documented(file: string): [name: string, says: string, value: string][] {
  const entry = /^ {2}(?:\/\*\* (.*) \*\/\n {2})?(\w+): ([\d_* ]+),$/gm;
  return Array.from(readPage(file).matchAll(entry), ([, says, name, value]) => {
    invariant(says !== undefined || name === 'ok', 'an entry of the docs has no comment of one line', { file, name });
    return [name!, says ?? name!, value!];
  });
}

async function flagTables(): Promise<string> {
  const sections = [`For every command:\n\n${flagTable(commonFlags)}`];
  sections.push(`For those that talk to a broker:\n\n${flagTable(brokerFlags)}`);
  for (const { load } of Object.values(commands)) {
    const loaded = await load();
    if (isGroup(loaded))
      sections.push(...loaded.commands.map((command) => section(`${loaded.syntax} ${command.syntax}`, command)));
    else sections.push(section(loaded.syntax, loaded));
  }
  return sections.join('\n\n');
}

function section(syntax: string, command: Command): string {
  const own = Object.entries(command.flags).filter(([name]) => !(name in brokerFlags));
  const flags = own.length === 0 ? [] : [flagTable(Object.fromEntries(own))];
  return [`### ${syntax.replace(/ [<[].*/, '')}`, `\`millrace ${syntax}\`: ${command.describe}.`, ...flags].join(
    '\n\n',
  );
}

function flagTable(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { alias = [], default: value, choices, describe = '' }]) => {
    const letters = [alias].flat().map((letter) => `-${letter}`);
    const allowed = choices === undefined ? '' : ` (${choices.join(', ')})`;
    const set = value === undefined || value === false || `${value}` === '' ? '' : code(String(value));
    return [[...letters, `--${name}`].map(code).join(', '), set, `${describe}${allowed}`];
  });
  return table(['flag', 'default', ''], rows);
}

type Cell = string | number;

function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(headings), `|${'---|'.repeat(headings.length)}`, ...rows.map(line)].join('\n');
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first} to ${last}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const page of generatedPages) await writePage(page);
}
