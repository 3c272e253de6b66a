import { describe, expect, test } from 'vitest';
import { murmur2 } from '../../src/client/murmur2.ts';
import { type PartitionerName, partitionerOf } from '../../src/client/partitioner.ts';

// What org.apache.kafka.common.utils.Utils.murmur2 of Apache Kafka 4.3.1 gives, and its partition of 7.
const golden: [key: string, hash: number, partitionOf7: number][] = [
  ['', 275646681, 2],
  ['a', -1563381124, 5],
  ['ab', 316155434, 0],
  ['abc', 479470107, 4],
  ['abcd', -1323649548, 5],
  ['abcde', 461995741, 4],
  ['21', -973932308, 3],
  ['foobar', -790332482, 0],
  ['key-0', 29210041, 0],
  ['key-1', 193331640, 5],
  ['a-little-bit-long-string', -985981536, 1],
  ['a-little-bit-longer-string', -1486304829, 0],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971, 3],
  ['Grüße aus München', -1919153702, 5],
  ['😀 smile', -580186616, 0],
  ['0123456789abcdef', 1438427052, 6],
];

const choose = (name: PartitionerName, key: string | null, partitionCount = 7): number | null =>
  partitionerOf(name)({ topic: 't', key: key === null ? null : Buffer.from(key), value: null, partitionCount });

describe('murmur2', () => {
  test.each(golden)('of "%s" is what Kafka computes', (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
  });

  test('takes bytes above 127 as unsigned, as Kafka does', () => {
    expect(murmur2(Buffer.from([0xff, 0xfe, 0xfd]))).toBe(998637092);
    expect(murmur2(Buffer.from(Array.from({ length: 256 }, (_, index) => index)))).toBe(-1948347274);
  });
});

describe('partitioners', () => {
  test.each(golden)('murmur2 puts "%s" where Kafka puts it', (key, _hash, partition) => {
    expect(choose('murmur2', key)).toBe(partition);
  });

  test('murmur2 and crc32 leave records without a key to the producer', () => {
    expect(choose('murmur2', null)).toBeNull();
    expect(choose('crc32', null)).toBeNull();
  });

  test('murmur2 takes an empty key for a key; librdkafka does not', () => {
    expect(choose('murmur2', '')).toBe(2);
    expect(choose('crc32', '')).toBeNull();
  });

  test('crc32 is the unsigned CRC-32 of the key, modulo', () => {
    expect(choose('crc32', '123456789', 1000)).toBe(0xcbf43926 % 1000);
  });

  test('roundRobin goes through the partitions of each topic by itself', () => {
    const partitioner = partitionerOf('roundRobin');
    const next = (topic: string): number | null => partitioner({ topic, key: null, value: null, partitionCount: 3 });
    expect([next('a'), next('a'), next('b'), next('a'), next('a'), next('b')]).toEqual([0, 1, 0, 2, 0, 1]);
  });

  test('an unknown name is refused', () => {
    expect(() => partitionerOf('random' as PartitionerName)).toThrow(/partitioner must be/);
  });
});
