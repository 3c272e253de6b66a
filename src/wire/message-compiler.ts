import { invariant } from '../base/invariant.ts';
import { fit } from './field-fit.ts';
import type { FrameReader } from './frame-reader.ts';
import type { FrameWriter } from './frame-writer.ts';
import { type Field, type FieldType, includes, type StructType, type VersionRange } from './schema.ts';

/** One message (an API's request or response) in one version. */
export interface MessageCodec {
  /** A missing field takes its default. */
  encode(writer: FrameWriter, message: object): void;
  /** Every field of the schema is present in what it returns. */
  decode(reader: FrameReader): unknown;
}

/**
 * Makes JavaScript for a message in one version: a function for each struct and direction, without a branch on the
 * version, and with objects that always have the same shape. That is several times faster than walking the schema. The
 * source comes from messages.txt alone, never from outside.
 */
export function compileMessage(message: StructType, version: number, flexible: boolean): MessageCodec {
  const functions = new StructFunctions();
  const decode = new DecoderSource(functions, version, flexible).functionOf(message);
  const encode = new EncoderSource(functions, version, flexible).functionOf(message);
  return functions.evaluate(`{ decode: ${decode}, encode: ${encode} }`) as MessageCodec;
}

/**
 * Makes the function that fills a draft's missing fields with their defaults. `isChecked`: it also throws Fault invalidArgument where
 * a value is not of its type.
 */
export function compileCompletion(
  message: StructType,
  versions: VersionRange,
  isChecked: boolean,
): (draft: object) => unknown {
  const functions = new StructFunctions();
  const complete = new CompletionSource(functions, versions.last, isChecked).functionOf(message);
  return functions.evaluate(complete) as (draft: object) => unknown;
}

/** The functions written so far, each under a name of its own, a struct's inner structs before it. */
class StructFunctions {
  readonly #sources: string[] = [];
  readonly #names = new Map<string, Map<StructType, string>>();

  /** The name of the function that does `purpose` for `struct`; written at the first call. */
  define(purpose: string, struct: StructType, parameters: string, body: () => string[]): string {
    const ofPurpose = this.#names.get(purpose) ?? new Map<StructType, string>();
    this.#names.set(purpose, ofPurpose);
    const known = ofPurpose.get(struct);
    if (known !== undefined) return known;
    const lines = body();
    const name = `${purpose}${struct.name}${this.#sources.length}`;
    ofPurpose.set(struct, name);
    this.#sources.push(`function ${name}(${parameters}) {\n  ${lines.join('\n  ')}\n}`);
    return name;
  }

  evaluate(expression: string): unknown {
    const constants = ["'use strict';", 'const NONE = Object.freeze([]);', 'const NO_BYTES = Buffer.alloc(0);'];
    return new Function('fit', [...constants, ...this.#sources, `return ${expression};`].join('\n'))(fit);
  }
}

class DecoderSource {
  readonly #functions: StructFunctions;
  readonly #version: number;
  readonly #flexible: boolean;

  constructor(functions: StructFunctions, version: number, flexible: boolean) {
    this.#functions = functions;
    this.#version = version;
    this.#flexible = flexible;
  }

  functionOf(struct: StructType): string {
    return this.#functions.define('decode', struct, 'r', () => {
      const lines: string[] = [];
      const cases: string[] = [];
      for (const [i, field] of struct.fields.entries()) {
        const carried = includes(field.versions, this.#version);
        if (!carried || field.tag !== null) lines.push(`let v${i} = ${freshDefault(field)};`);
        else lines.push(`let v${i};`, ...this.#read(field, `v${i}`));
        if (!carried || field.tag === null) continue;
        cases.push(
          `case ${field.tag}: {`,
          ...this.#read(field, `v${i}`),
          `r.expectAt(end, "${field.name}");`,
          'break; }',
        );
      }
      if (this.#flexible) lines.push(...taggedSection(cases));
      lines.push(`return { ${struct.fields.map(({ name }, i) => `${name}: v${i}`).join(', ')} };`);
      return lines;
    });
  }

  #read(field: Field, target: string): string[] {
    const nullable = includes(field.nullable, this.#version);
    if (field.type.kind === 'struct') {
      const decoded = `${this.functionOf(field.type)}(r)`;
      return [`${target} = ${nullable ? `r.presence() ? ${decoded} : null` : decoded};`];
    }
    if (field.type.kind !== 'array') return [`${target} = ${this.#scalar(field.type, nullable, field.name)};`];
    const of = field.type.of;
    const element = of.kind === 'struct' ? `${this.functionOf(of)}(r)` : this.#scalar(of, false, field.name);
    const count = of.kind === 'struct' || of.kind === 'string' ? 'heapCount' : 'count';
    const elementBytesMin = bytesMin(of, this.#version, this.#flexible);
    return [
      `{ const length = ${this.#flexible ? 'r.compactLength()' : 'r.length32()'};`,
      nullable ? `if (length === -1) ${target} = null; else {` : '{',
      `r.${count}(length, ${elementBytesMin}, "${field.name}"); ${target} = [];`,
      `for (let i = 0; i < length; i++) ${target}.push(${element}); } }`,
    ];
  }

  #scalar(type: FieldType, nullable: boolean, name: string): string {
    if (!isSized(type)) return `r.${type.kind}()`;
    const method = nullable ? `nullable${capitalized(type.kind)}` : type.kind;
    return `r.${method}(r.${lengthMethod(type, this.#flexible)}(), "${name}")`;
  }
}

function taggedSection(cases: readonly string[]): string[] {
  if (cases.length === 0) return ['r.skipTags();'];
  return [
    'for (let left = r.uvarint(); left > 0; left--) {',
    'const tag = r.uvarint(); const end = r.tagEnd();',
    'switch (tag) {',
    ...cases,
    'default: r.skipTo(end); } }',
  ];
}

class EncoderSource {
  readonly #functions: StructFunctions;
  readonly #version: number;
  readonly #flexible: boolean;

  constructor(functions: StructFunctions, version: number, flexible: boolean) {
    this.#functions = functions;
    this.#version = version;
    this.#flexible = flexible;
  }

  functionOf(struct: StructType): string {
    return this.#functions.define('encode', struct, 'w, m', () => {
      const lines = ['let v;'];
      const tagged: Field[] = [];
      for (const field of struct.fields) {
        const carried = includes(field.versions, this.#version);
        if (carried && field.tag !== null) tagged.push(field);
        else if (carried) {
          lines.push(
            `v = m.${field.name}; if (v === undefined) v = ${this.#sharedDefault(field)};`,
            this.#write(field, 'v'),
          );
        } else if (!field.ignorable) {
          lines.push(`v = m.${field.name};`, `if (!(${this.#isDefault(field, 'v')})) w.refuseAbsent("${field.name}");`);
        }
      }
      if (this.#flexible) lines.push(...this.#taggedSection(tagged));
      return lines;
    });
  }

  /** In the order of messages.txt, which is that of the tags; a field that has its default is left out. */
  #taggedSection(fields: readonly Field[]): string[] {
    const given = fields.map((field, i) => {
      const value = `const t${i} = m.${field.name};`;
      return `${value} const given${i} = !(${this.#isDefault(field, `t${i}`)});`;
    });
    const count = fields.map((_, i) => `(given${i} ? 1 : 0)`).join(' + ') || '0';
    const writes = fields.map(
      (field, i) =>
        `if (given${i}) { const start = w.beginTagged(${field.tag}); ${this.#write(field, `t${i}`)} w.endTagged(start); }`,
    );
    return [...given, `w.uvarint(${count});`, ...writes];
  }

  #write(field: Field, value: string): string {
    const { type, name } = field;
    const nullable = includes(field.nullable, this.#version);
    const written = this.#writeValue(type, value, name);
    const present = type.kind === 'struct' && nullable ? `w.int8(1, "${name}"); ${written}` : written;
    const isNull = nullable ? `w.${lengthMethod(type, this.#flexible)}(-1, "${name}");` : `w.refuseNull("${name}");`;
    return nullable || isReference(type) ? `if (${value} === null) ${isNull} else { ${present} }` : present;
  }

  #writeValue(type: FieldType, value: string, name: string): string {
    if (type.kind === 'struct') return `${this.functionOf(type)}(w, ${value});`;
    if (type.kind === 'array') {
      const length = `w.${lengthMethod(type, this.#flexible)}(${value}.length, "${name}");`;
      return `${length} for (let i = 0; i < ${value}.length; i++) ${this.#writeValue(type.of, `${value}[i]`, name)}`;
    }
    const method = this.#flexible && isSized(type) ? `compact${capitalized(type.kind)}` : type.kind;
    return `w.${method}(${value}, "${name}");`;
  }

  /** An expression: the value is missing or says no more than its absence does. */
  #isDefault({ type, default: value }: Field, variable: string): string {
    const missing = `${variable} === undefined`;
    if (type.kind === 'records') return `${missing} || ${variable} === null || ${variable}.length === 0`;
    if (value !== undefined) return `${missing} || ${variable} === ${JSON.stringify(value)}`;
    if (type.kind !== 'struct') return `${missing} || ${variable} !== null && ${variable}.length === 0`;
    const test = this.#functions.define('isDefault', type, 'm', () => {
      const tests = type.fields.map((field) => `(${this.#isDefault(field, `m.${field.name}`)})`);
      return [`return ${tests.join(' && ')};`];
    });
    return `${missing} || ${variable} !== null && ${test}(${variable})`;
  }

  #sharedDefault({ type, nullable, default: value }: Field): string {
    if (type.kind === 'records' && !includes(nullable, this.#version)) return 'NONE';
    if (value !== undefined) return JSON.stringify(value);
    return type.kind === 'array' ? 'NONE' : type.kind === 'bytes' ? 'NO_BYTES' : '{}';
  }
}

class CompletionSource {
  readonly #functions: StructFunctions;
  readonly #versionLast: number;
  readonly #isChecked: boolean;

  constructor(functions: StructFunctions, versionLast: number, isChecked: boolean) {
    this.#functions = functions;
    this.#versionLast = versionLast;
    this.#isChecked = isChecked;
  }

  functionOf(struct: StructType): string {
    return this.#functions.define('complete', struct, 'm', () => {
      const fields = struct.fields.map((field) => `${field.name}: ${this.#value(field)}`);
      return [`return { ${fields.join(', ')} };`];
    });
  }

  #value(field: Field): string {
    const value = `m.${field.name}`;
    const struct = field.type.kind === 'array' ? field.type.of : field.type;
    const neverNull = field.type.kind === 'records' && !includes(field.nullable, this.#versionLast);
    const fallback = neverNull ? '[]' : freshDefault(field);
    if (struct.kind !== 'struct') return `${value} === undefined ? ${fallback} : ${this.#scalars(field, value)}`;
    const complete = this.functionOf(struct);
    const completed = field.type.kind === 'array' ? `${value}.map(${complete})` : `${complete}(${value})`;
    return `${value} === undefined ? ${fallback} : ${value} === null ? null : ${completed}`;
  }

  /** What was given of a scalar, or of an array of them. */
  #scalars({ type, name, nullable }: Field, value: string): string {
    if (!this.#isChecked) return value;
    const isNullable = nullable.last >= nullable.first;
    const checked =
      type.kind === 'array'
        ? `${value}.map((one) => fit.${type.of.kind}(one, "${name}"))`
        : `fit.${type.kind}(${value}, "${name}")`;
    return isNullable ? `${value} === null ? null : ${checked}` : checked;
  }
}

/** JavaScript for a default that the receiver may keep and change. */
function freshDefault({ type, default: value }: Field): string {
  if (value !== undefined) return JSON.stringify(value);
  if (type.kind === 'array') return '[]';
  if (type.kind === 'bytes') return 'NO_BYTES';
  invariant(type.kind === 'struct', 'a type without a default', { type });
  return `{ ${type.fields.map((field) => `${field.name}: ${freshDefault(field)}`).join(', ')} }`;
}

function isSized(type: FieldType): boolean {
  return type.kind === 'string' || type.kind === 'bytes' || type.kind === 'records';
}

function isReference(type: FieldType): boolean {
  return isSized(type) || type.kind === 'array' || type.kind === 'struct' || type.kind === 'uuid';
}

/** The method, of reader and writer alike, for the length before a value, where -1 is null. A struct has a byte that says which. */
function lengthMethod(type: FieldType, flexible: boolean): string {
  if (type.kind === 'struct') return 'int8';
  return flexible ? 'compactLength' : type.kind === 'string' ? 'length16' : 'length32';
}

function capitalized(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}

const SCALAR_BYTES: Partial<Record<FieldType['kind'], number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  int64: 8,
  float64: 8,
  uuid: 16,
};

/** The fewest bytes that a value takes, so that a count can be checked against what is left of a frame. */
function bytesMin(type: FieldType, version: number, flexible: boolean): number {
  if (type.kind !== 'struct') return SCALAR_BYTES[type.kind] ?? (flexible ? 1 : type.kind === 'string' ? 2 : 4);
  let bytes = flexible ? 1 : 0;
  for (const field of type.fields) {
    if (!includes(field.versions, version) || field.tag !== null) continue;
    const isByte = field.type.kind === 'struct' && includes(field.nullable, version);
    bytes += isByte ? 1 : bytesMin(field.type, version, flexible);
  }
  return Math.max(bytes, 1);
}
