import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type GroupOffsets, offsetsCsv, offsetsJson, parseOffsets } from '../../src/cli/offset-file.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

/** Names as groups may have them: with commas, quotes and spaces within, but no line ends, which a file of lines cannot hold. */
const name = fc
  .string({ minLength: 1, unit: fc.constantFrom(...'ab,"; \tü日') })
  .filter((text) => text.trim() === text);
const topic = fc.stringMatching(/^[a-z._-]{1,8}$/);
const offset = fc.record({
  topic,
  partition: fc.nat(9),
  offset: fc.maxSafeNat(),
  leaderEpoch: fc.integer({ min: -1, max: 9 }),
  metadata: fc.string(),
  fault: fc.constant(null),
});
const offsets = fc.uniqueArray(offset, { minLength: 1, selector: (one) => `${one.topic}:${one.partition}` });
const groups: fc.Arbitrary<GroupOffsets[]> = fc.uniqueArray(fc.record({ group: name, offsets }), {
  minLength: 1,
  selector: ({ group }) => group,
});

function flat(all: readonly GroupOffsets[]) {
  return all.flatMap(({ group, offsets: ofGroup }) => ofGroup.map(({ fault: _, ...rest }) => ({ group, ...rest })));
}

test('JSON brings everything back', () => {
  fc.assert(
    fc.property(groups, (all) => {
      expect(parseOffsets(offsetsJson(all), 'file')).toEqual(flat(all));
    }),
  );
});

test('lines bring back all but what they have no place for', () => {
  fc.assert(
    fc.property(groups, (all) => {
      const expected = flat(all).map(({ group, ...rest }) => ({
        ...rest,
        group: all.length > 1 ? group : null,
        leaderEpoch: -1,
        metadata: '',
      }));
      expect(parseOffsets(offsetsCsv(all, all.length > 1), 'file')).toEqual(expected);
    }),
  );
});

test('whatever else is in a file is refused with its name, and nothing else is thrown', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'a1,"\n{}[]:') }), (text) => {
      try {
        parseOffsets(text, 'the file');
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        expect((error as Error).message).toContain('the file');
      }
    }),
  );
  for (const text of [
    '',
    '\n',
    't,0',
    't,0,-1',
    't,0,x',
    'g,t,0,1,2',
    '"t,0,1',
    't,0,99999999999999999999',
    '{}',
    'null',
    '{"groups":[null]}',
    '{"groups":[{"group":"g","offsets":[null]}]}',
  ]) {
    expect(() => parseOffsets(text, 'file'), text).toThrow(UsageError);
  }
});
