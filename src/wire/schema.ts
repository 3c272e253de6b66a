import { readFileSync } from 'node:fs';
import { invariant } from '../base/invariant.ts';
import { ZERO_UUID } from '../base/random.ts';

/** Versions of an API, both ends inclusive; `last` is VERSION_LAST where the text says "7+", and below `first` where it says "none". */
export interface VersionRange {
  readonly first: number;
  readonly last: number;
}

const VERSION_LAST = 0x7fff;

const scalarNames = [
  'bool',
  'int8',
  'int16',
  'uint16',
  'int32',
  'int64',
  'float64',
  'uuid',
  'string',
  'bytes',
  'records',
];
export type ScalarName =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records';

export interface StructType {
  readonly kind: 'struct';
  readonly name: string;
  readonly fields: readonly Field[];
}
export interface ScalarType {
  readonly kind: ScalarName;
}
export interface ArrayType {
  readonly kind: 'array';
  readonly of: ScalarType | StructType;
}
export type FieldType = ScalarType | ArrayType | StructType;

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** Versions that carry the field. */
  readonly versions: VersionRange;
  /** Versions in which it may be null. */
  readonly nullable: VersionRange;
  /** Its number in the tagged section; null: it travels in its place. */
  readonly tag: number | null;
  /** What stands for a field that is not given; undefined: the empty value of an array, of bytes or of a struct. */
  readonly default: string | number | boolean | null | undefined;
  readonly ignorable: boolean;
}

export interface ApiSchema {
  readonly name: string;
  readonly key: number;
  readonly versions: VersionRange;
  /** Versions with compact types, tagged fields and the younger headers. */
  readonly flexible: VersionRange;
  readonly request: StructType;
  readonly response: StructType;
}

export function includes(range: VersionRange, version: number): boolean {
  return range.first <= version && version <= range.last;
}

// The text is read once and cut into sections; a section is parsed when its API is first used, so that a start pays only
// for the APIs it meets.
let sections: Map<string, { key: number; lines: string }> | null = null;
const parsed = new Map<string, ApiSchema>();

function allSections(): NonNullable<typeof sections> {
  if (sections !== null) return sections;
  sections = new Map();
  const text = readFileSync(new URL('./messages.txt', import.meta.url), 'utf8');
  for (const part of text.split('\n# ').slice(1)) {
    const heading = /^(\d+) (\w+)\n/.exec(part);
    if (heading !== null) sections.set(heading[2]!, { key: Number(heading[1]), lines: part.slice(heading[0].length) });
  }
  return sections;
}

/** Every API of messages.txt, in the order of its keys. */
export function apiNames(): string[] {
  return [...allSections().keys()];
}

export function apiSchema(name: string): ApiSchema {
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const section = allSections().get(name);
  invariant(section !== undefined, 'no such API', { name });
  const schema = parseApi(name, section.key, section.lines);
  parsed.set(name, schema);
  return schema;
}

function parseApi(name: string, key: number, text: string): ApiSchema {
  const halves = text.split(/^(?=re(?:quest|sponse) )/m);
  invariant(halves.length === 2, 'an API has a request and a response', { name });
  const [request, response] = halves.map((half) => half.trimEnd().split('\n'));
  const heading = /^request (\S+) flexible (\S+)$/.exec(request![0]!);
  invariant(heading !== null && response![0] === request![0]!.replace('request', 'response'), 'malformed heading', {
    name,
  });
  return {
    name,
    key,
    versions: parseRange(heading[1]!),
    flexible: parseRange(heading[2]!),
    request: { kind: 'struct', name: `${name}Request`, fields: parseFields(request!.slice(1)) },
    response: { kind: 'struct', name: `${name}Response`, fields: parseFields(response!.slice(1)) },
  };
}

/** `lines` are one struct's: its fields, each followed by the deeper lines of its own struct. */
function parseFields(lines: readonly string[]): Field[] {
  const fields: Field[] = [];
  const indent = indentOf(lines[0] ?? '');
  for (let i = 0; i < lines.length; ) {
    let next = i + 1;
    while (next < lines.length && indentOf(lines[next]!) > indent) next++;
    fields.push(parseField(lines[i]!.trim(), lines.slice(i + 1, next)));
    i = next;
  }
  return fields;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function parseField(line: string, inner: readonly string[]): Field {
  const [name, typeText, versions, ...attributes] = line.split(' ');
  invariant(/^[a-z]\w*$/.test(name ?? '') && typeText !== undefined && versions !== undefined, 'malformed field', {
    line,
  });
  const type = parseType(typeText, inner);
  const facts = { nullable: parseRange('none'), tag: null as number | null, default: zeroOf(type), ignorable: false };
  for (const attribute of attributes) {
    const at = attribute.indexOf(':');
    const value = attribute.slice(at + 1);
    if (attribute === 'ignorable') facts.ignorable = true;
    else if (attribute.startsWith('null:')) facts.nullable = parseRange(value);
    else if (attribute.startsWith('tag:')) facts.tag = Number(value);
    else if (attribute.startsWith('default:')) facts.default = parseDefault(value);
    else invariant(attribute === 'key', 'unknown attribute', { line });
  }
  return { name: name!, type, versions: parseRange(versions), ...facts };
}

function parseType(text: string, inner: readonly string[]): FieldType {
  if (text.startsWith('[]')) return { kind: 'array', of: parseType(text.slice(2), inner) as ScalarType | StructType };
  if (scalarNames.includes(text)) return { kind: text as ScalarName };
  invariant(inner.length > 0, 'a struct without fields', { text });
  return { kind: 'struct', name: text, fields: parseFields(inner) };
}

function parseRange(text: string): VersionRange {
  if (text === 'none') return { first: 1, last: 0 };
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  invariant(match !== null, 'malformed versions', { text });
  const first = Number(match[1]);
  return { first, last: match[2] !== undefined ? VERSION_LAST : Number(match[3] ?? first) };
}

function parseDefault(text: string): string | number | boolean | null {
  if (text === 'null') return null;
  if (text === "''") return '';
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  invariant(!Number.isNaN(number), 'malformed default', { text });
  return Math.min(Math.max(number, -Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}

function zeroOf(type: FieldType): Field['default'] {
  switch (type.kind) {
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return ZERO_UUID;
    case 'records':
      return null;
    case 'array':
    case 'struct':
    case 'bytes':
      return undefined;
    default:
      return 0;
  }
}
