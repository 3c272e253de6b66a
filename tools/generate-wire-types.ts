// Writes src/wire/messages.generated.ts from src/wire/messages.txt:  node tools/generate-wire-types.ts
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { invariant } from '../src/base/invariant.ts';
import {
  type ApiSchema,
  apiNames,
  apiSchema,
  type Field,
  type FieldType,
  type StructType,
} from '../src/wire/schema.ts';

export const generatedPath = fileURLToPath(new URL('../src/wire/messages.generated.ts', import.meta.url));

const typeOfScalar = {
  bool: 'boolean',
  int8: 'number',
  int16: 'number',
  uint16: 'number',
  int32: 'number',
  int64: 'number',
  float64: 'number',
  uuid: 'Uuid',
  string: 'string',
  bytes: 'Buffer',
  records: 'readonly Buffer[]',
} as const;

export function generateWireTypes(): string {
  const schemas = apiNames().map(apiSchema);
  const table = schemas.map((api) => {
    const flexibleFrom = api.flexible.last === 0 ? 'null' : api.flexible.first;
    return `  ${api.name}: { key: ${api.key}, versions: [${api.versions.first}, ${api.versions.last}], flexibleFrom: ${flexibleFrom} },`;
  });
  const messages = schemas.map(({ name }) => `  ${name}: { request: ${name}Request; response: ${name}Response };`);
  return [
    '// Made from messages.txt by tools/generate-wire-types.ts; do not edit.',
    "import type { Uuid } from '../base/random.ts';",
    '',
    '/** Versions are [first, last], both inclusive; flexibleFrom: the first with compact types and tagged fields, null for none. */',
    'export const apis = {',
    ...table,
    '} as const satisfies Record<string, ApiFacts>;',
    '',
    'export interface ApiFacts {',
    '  readonly key: number;',
    '  readonly versions: readonly [first: number, last: number];',
    '  readonly flexibleFrom: number | null;',
    '}',
    '',
    'export type ApiName = keyof typeof apis;',
    '',
    'export interface Messages {',
    ...messages,
    '}',
    ...schemas.flatMap(interfacesOf),
    '',
  ].join('\n');
}

function interfacesOf(api: ApiSchema): string[] {
  const clashing = new Set(clashesOf(api));
  const nameOf = (struct: StructType, message: StructType): string => {
    if (struct === message) return message.name;
    return join(clashing.has(struct.name) ? message.name : api.name, struct.name);
  };
  const lines = new Map<string, string[]>();
  for (const message of [api.request, api.response]) {
    for (const struct of structsOf(message)) {
      const name = nameOf(struct, message);
      const fields = struct.fields.map((field) => `  ${field.name}: ${typeText(field, (of) => nameOf(of, message))};`);
      const text = ['', `export interface ${name} {`, ...fields, '}'];
      const known = lines.get(name);
      invariant(known === undefined || known.join() === text.join(), 'two shapes of one name in a message', { name });
      lines.set(name, text);
    }
  }
  return [...lines.values()].flat();
}

/** Names that stand for one struct in the request and for another in the response. */
function clashesOf(api: ApiSchema): string[] {
  const shapes = new Map(structsOf(api.request).map((struct) => [struct.name, JSON.stringify(struct)]));
  return structsOf(api.response)
    .filter(({ name }) => shapes.has(name))
    .filter((struct) => shapes.get(struct.name) !== JSON.stringify(struct))
    .map(({ name }) => name);
}

function structsOf(struct: StructType): StructType[] {
  const inner = struct.fields
    .map(({ type }) => (type.kind === 'array' ? type.of : type))
    .filter((type): type is StructType => type.kind === 'struct');
  return [struct, ...inner.flatMap(structsOf)];
}

function typeText(field: Field, nameOf: (struct: StructType) => string): string {
  const text = (type: FieldType): string => {
    if (type.kind === 'array') return `${text(type.of)}[]`;
    return type.kind === 'struct' ? nameOf(type) : typeOfScalar[type.kind];
  };
  const nullable = field.nullable.first <= field.nullable.last;
  return nullable ? `${text(field.type)} | null` : text(field.type);
}

/** Prefixes a struct's name by its API's, written once where they overlap: ShareFetch + FetchTopic is ShareFetchTopic. */
function join(prefix: string, name: string): string {
  if (name.includes(prefix)) return name;
  for (let overlap = name.length - 1; overlap > 0; overlap--) {
    if (prefix.endsWith(name.slice(0, overlap))) return prefix + name.slice(overlap);
  }
  return prefix + name;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(generatedPath, generateWireTypes());
