import fc from 'fast-check';
import { type ApiName, apis } from '../../src/wire/messages.generated.ts';
import { apiSchema, type Field, type FieldType, includes, type StructType } from '../../src/wire/schema.ts';

export type Direction = 'request' | 'response';

/** Every message there is: each API, version and direction. */
export const allMessages = (Object.keys(apis) as ApiName[]).flatMap((api) => {
  const [first, last] = apis[api].versions;
  return Array.from({ length: last - first + 1 }, (_, i) => first + i).flatMap((version) =>
    (['request', 'response'] as const).map((direction) => ({ api, version, direction })),
  );
});

interface MessageShape {
  /** Fields may be left out, so that they take their defaults. */
  partial?: boolean;
}

/** Values for every field that this version carries, none for the others. */
export function arbitraryMessage(api: ApiName, version: number, direction: Direction, shape: MessageShape = {}) {
  return arbitraryStruct(apiSchema(api)[direction], version, shape);
}

function arbitraryStruct(struct: StructType, version: number, shape: MessageShape): fc.Arbitrary<object> {
  const carried = struct.fields.filter((field) => includes(field.versions, version));
  const fields = carried.map((field) => [field.name, arbitraryField(field, version, shape)]);
  const model = Object.fromEntries(fields);
  return shape.partial
    ? fc.record(model, { requiredKeys: [], noNullPrototype: true })
    : fc.record(model, { noNullPrototype: true });
}

function arbitraryField({ type, nullable }: Field, version: number, shape: MessageShape): fc.Arbitrary<unknown> {
  const value = arbitraryValue(type, version, shape);
  return includes(nullable, version) ? fc.option(value, { nil: null }) : value;
}

function arbitraryValue(type: FieldType, version: number, shape: MessageShape): fc.Arbitrary<unknown> {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  switch (type.kind) {
    case 'bool':
      return fc.boolean();
    case 'int8':
      return fc.integer({ min: -0x80, max: 0x7f });
    case 'int16':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 'uint16':
      return fc.integer({ min: 0, max: 0xffff });
    case 'int32':
      return fc.integer();
    case 'int64':
      return fc.oneof(fc.maxSafeInteger(), fc.constantFrom(Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER));
    case 'float64':
      return fc.double({ noNaN: true });
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((array) => Buffer.from(array).toString('base64url'));
    case 'string':
      return fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ minLength: 20, maxLength: 200 }));
    case 'bytes':
      return bytes;
    case 'records':
      return bytes.map((buffer) => (buffer.length === 0 ? [] : [buffer]));
    case 'array':
      return fc.array(arbitraryValue(type.of, version, shape), { maxLength: 3 });
    case 'struct':
      return arbitraryStruct(type, version, shape);
  }
}
