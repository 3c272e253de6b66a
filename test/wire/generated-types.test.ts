import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { apiNames, apiSchema, type StructType } from '../../src/wire/schema.ts';
import { generatedPath, generateWireTypes } from '../../tools/generate-wire-types.ts';

test('the generated types are those of messages.txt (else: node tools/generate-wire-types.ts)', () => {
  expect(readFileSync(generatedPath, 'utf8')).toBe(generateWireTypes());
});

function structsOf(struct: StructType): StructType[] {
  const inner = struct.fields.flatMap(({ type }) => (type.kind === 'array' ? [type.of] : [type]));
  return [struct, ...inner.filter((type) => type.kind === 'struct').flatMap(structsOf)];
}

test('in messages.txt names are unique in a struct, tags ascend, and null is a default only where it is allowed', () => {
  for (const api of apiNames().map(apiSchema)) {
    for (const struct of [api.request, api.response].flatMap(structsOf)) {
      const names = struct.fields.map(({ name }) => name);
      const tags = struct.fields.map(({ tag }) => tag).filter((tag) => tag !== null);
      expect(new Set(names).size, `${api.name} ${struct.name}`).toBe(names.length);
      expect(tags, `${api.name} ${struct.name}`).toEqual([...new Set(tags)].sort((a, b) => a - b));
      for (const { name, type, nullable, versions, default: value } of struct.fields) {
        if (value !== null || type.kind === 'records') continue;
        expect(nullable.first, `${api.name} ${struct.name}.${name}`).toBeLessThanOrEqual(versions.first);
        expect(nullable.last, `${api.name} ${struct.name}.${name}`).toBeGreaterThanOrEqual(versions.last);
      }
    }
  }
});

test('API keys are unique, and each has a version', () => {
  const apis = apiNames().map(apiSchema);
  expect(new Set(apis.map(({ key }) => key)).size).toBe(apis.length);
  for (const { name, versions } of apis) expect(versions.last, name).toBeGreaterThanOrEqual(versions.first);
});
