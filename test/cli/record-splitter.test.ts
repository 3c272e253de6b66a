import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecordSplitter } from '../../src/cli/record-splitter.ts';

function split(chunks: readonly Buffer[], delimiter: Buffer): string[] {
  const splitter = new RecordSplitter(delimiter, 1000);
  const records = chunks.flatMap((chunk) => splitter.push(chunk).map((record) => record.toString('latin1')));
  const last = splitter.end();
  return last === null ? records : [...records, last.toString('latin1')];
}

/** The rule in its plainest form: what lies between delimiters, and what follows the last one if anything does. */
function expected(bytes: Buffer, delimiter: Buffer): string[] {
  const parts = bytes.toString('latin1').split(delimiter.toString('latin1'));
  if (parts.at(-1) === '') parts.pop();
  return parts;
}

test('records are the same wherever the chunks break', () => {
  // Few different bytes, so that delimiters and beginnings of them are everywhere.
  const bytes = fc.array(fc.constantFrom(0x61, 0x0a, 0x0d), { maxLength: 40 });
  const delimiters = fc.constantFrom('\n', '\r\n', '\n\n', 'a\na', 'aa');
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(40), { maxLength: 8 }), delimiters, (content, cuts, text) => {
      const buffer = Buffer.from(content);
      const delimiter = Buffer.from(text);
      const places = [0, ...cuts.map((cut) => Math.min(cut, buffer.length)), buffer.length].sort((a, b) => a - b);
      const chunks = places.slice(1).map((end, index) => buffer.subarray(places[index], end));
      expect(split(chunks, delimiter)).toEqual(expected(buffer, delimiter));
    }),
    { numRuns: 2000 },
  );
});

test('empty lines are records, and so is a last line without its end', () => {
  expect(split([Buffer.from('a\n\nb')], Buffer.from('\n'))).toEqual(['a', '', 'b']);
  expect(split([Buffer.from('a\n')], Buffer.from('\n'))).toEqual(['a']);
  expect(split([Buffer.from('\n')], Buffer.from('\n'))).toEqual(['']);
  expect(split([], Buffer.from('\n'))).toEqual([]);
});

test('a record without end is refused before it fills the memory', () => {
  const splitter = new RecordSplitter(Buffer.from('\n'), 1000);
  splitter.push(Buffer.alloc(900));
  expect(() => splitter.push(Buffer.alloc(200))).toThrow(/larger than 1000 bytes/);
});
