import { encode } from 'msgpackr';
import { Fault } from '../../../src/base/faults.ts';
import { checksumOf, type Identity, identityIn } from '../../../src/broker/identity.ts';
import { BlockSums, BlockSumsBuilder } from '../../../src/log/block-sums.ts';
import { type Checkpoint, isCheckpoint } from '../../../src/log/checkpoint.ts';
import { loadChecksum } from '../../../src/log/checksum.ts';
import { compactedIn } from '../../../src/log/compacted-segments.ts';
import { proofsIn } from '../../../src/log/journal-replay.ts';
import { LeaderEpochs } from '../../../src/log/leader-epochs.ts';
import { ProducerState } from '../../../src/log/producer-state.ts';
import { placesIn } from '../../../src/log/quarantine.ts';
import { unseal } from '../../../src/log/sealed-file.ts';
import { segmentName } from '../../../src/log/segment-files.ts';
import { BATCH_HEADER_BYTES, batchBytes, nextOffset } from '../../../src/record/batch.ts';
import { buildBatch } from '../../../src/record/batch-builder.ts';
import { crc32c } from '../../../src/record/crc32c.ts';
import { contentMutated, jsonCodec, messagePackCodec } from '../content-mutations.ts';
import type { Family, Seed } from '../family.ts';

/*
 * Files whose checksum says that they are what was written, with contents that nobody should write: what is changed is the
 * content, and its checksum is made anew. What is taken for good is used as its owner uses it.
 */

const checksum = await loadChecksum();

function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what);
}

// Sealed files

/** A file around a content that is MessagePack, or is not. */
function sealedAround(payload: Buffer): Buffer {
  const file = Buffer.alloc(8 + payload.length, 'MLR1');
  payload.copy(file, 8);
  file.writeUInt32BE(crc32c(payload), 4);
  return file;
}

function seedOf(name: string, content: unknown, read: (content: unknown) => unknown): Seed {
  return {
    name,
    bytes: encode(content),
    read(input) {
      const found = unseal(sealedAround(input));
      if (found === 'damaged') throw new Fault('damagedMetadata');
      return read(found.content);
    },
  };
}

const checkpoint: Checkpoint = {
  segmentBase: 10,
  position: 4096,
  durableNext: 25,
  logStart: 3,
  epochs: [
    { epoch: 0, startOffset: 0 },
    { epoch: 2, startOffset: 7 },
    { epoch: 5, startOffset: 20 },
  ],
};

function useCheckpoint(content: unknown): unknown {
  if (!isCheckpoint(content)) throw new Fault('damagedMetadata');
  const { segmentBase, position, durableNext } = content;
  expect(
    durableNext >= segmentBase && (position === 0 || position >= BATCH_HEADER_BYTES),
    'a place where no batch ends',
  );
  const epochs = new LeaderEpochs(content.epochs);
  // A batch that is appended carries it.
  Buffer.alloc(4).writeInt32BE(epochs.latest);
  epochs.endOf(3, content.durableNext);
  for (const offset of [0, 8, 1e9]) expect(epochs.at(offset) <= epochs.latest, 'an epoch after the latest');
  epochs.cutStart(9);
  expect(isCheckpoint({ ...content, epochs: epochs.starts }), 'epochs out of order');
  return content;
}

const proofs = {
  releasedBefore: 3,
  logs: { 'topics/oPdR3rsXQZ6kGq1vYb0w2A/0': checkpoint, 'ledger/groups': checkpoint },
  firstNumber: 77,
  inUse: { '00000000000000000001': 1 << 20, '00000000000000000002': 1 << 20 },
};

function useProofs(content: unknown): unknown {
  const { releasedBefore, logs, inUse = {} } = proofsIn({ content });
  for (const name of Object.keys(inUse)) expect(/^\d+$/.test(name), `a file of the journal that is called ${name}`);
  expect(releasedBefore >= 0 && !('ledger/none' in logs) && !('none' in inUse), 'generations and files that are none');
  return logs;
}

const compacted = {
  cleanNext: 900,
  segments: [
    { base: 0, endNext: 100, bytes: 4096, number: 1, sums: '00ff00ff00ff00ff' },
    { base: 100, endNext: 700, bytes: 1 << 20, number: 7, sums: 'ffffffffffffffff' },
    { base: 800, endNext: 900, bytes: 61, number: 2, sums: '0123456789abcdef' },
  ],
  passed: [700],
};

/** Other segments whose offsets one stands for are removed: none that is in the list itself may be. */
function useCompacted(content: unknown): unknown {
  const found = compactedIn(content);
  if (found === null) throw new Fault('damagedMetadata');
  const { segments } = found;
  for (const { base, endNext } of segments) {
    expect(/^\d{20}$/.test(segmentName(base)), `a segment that is called ${segmentName(base)}`);
    expect(!segments.some((other) => other.base > base && other.base < endNext), 'one segment stands for another');
  }
  expect(new Set(segments.map(({ base }) => base)).size === segments.length, 'a segment is there twice');
  return segments;
}

const what = 'expected base offset 5, found 6';
const place = {
  segmentBase: 0,
  position: 0,
  bytes: 100,
  firstOffset: 5,
  nextOffset: 9,
  foundAtMs: 1_700_000_000_000,
  what,
};
const places = [place, { ...place, position: 4096, bytes: 0, firstOffset: 20 }, { ...place, segmentBase: 1000 }].map(
  (one) => ({ ...one, nextOffset: one.firstOffset + 4 }),
);

function usePlaces(content: unknown): unknown {
  const found = placesIn(content);
  if (found === null) return null;
  for (const [i, one] of found.entries()) {
    expect(/^\d{20}$/.test(segmentName(one.segmentBase)), `a segment that is called ${segmentName(one.segmentBase)}`);
    const next = found[i + 1];
    const isInOrder = next === undefined || next.segmentBase > one.segmentBase || next.position > one.position;
    expect(isInOrder && one.nextOffset >= one.firstOffset && one.bytes >= 0, 'places are out of order');
  }
  return found;
}

const producers = [
  [
    7,
    0,
    [
      [0, 4, 10, 14],
      [5, 5, 15, 15],
    ],
  ],
  [2 ** 40, 32_767, [[2 ** 31 - 1, 2 ** 31 - 1, 16, 16]]],
];
const batches = [7, 2 ** 40].map((producerId) =>
  buildBatch([{ timestampMs: 1, key: null, value: null }], { producerId, producerEpoch: 0, baseSequence: 6 }),
);

function useProducers(content: unknown): unknown {
  const state = new ProducerState();
  if (!state.restore((content as { producers?: unknown } | null)?.producers, 0)) return null;
  for (const batch of batches) {
    try {
      state.check(batch);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
    state.apply(batch, 17, 17, 1);
  }
  state.snapshotBefore(16);
  expect(new ProducerState().restore(state.snapshot(), 0), 'a snapshot that is not read again');
  return state.snapshot();
}

export const stateContents: Family = {
  name: 'state-contents',
  allocatedBytesMax: 1024,
  mutate: (...mutation) => contentMutated(messagePackCodec, ...mutation),
  seeds: [
    seedOf('checkpoint', checkpoint, useCheckpoint),
    seedOf('proofs', proofs, useProofs),
    seedOf('compacted', compacted, useCompacted),
    seedOf('places', { places }, usePlaces),
    seedOf('producers', { nextOffset: 17, position: 4096, producers }, useProducers),
  ],
};

// Block sums

const BASE_OFFSET = 1000;
const segmentBatches = Array.from({ length: 30 }, (_, i) => {
  const value = Buffer.alloc(i % 7 === 0 ? 20_000 : 900, i);
  return buildBatch([{ timestampMs: i, key: null, value }], { baseOffset: BASE_OFFSET + i * 3 });
});
const segmentBytes = Buffer.concat(segmentBatches);
const END_NEXT = nextOffset(segmentBatches.at(-1)!, 0);

function builtSums(): BlockSums {
  const builder = new BlockSumsBuilder(BASE_OFFSET, checksum);
  for (const batch of segmentBatches) builder.add(batch, nextOffset(batch, 0));
  return builder.end();
}

const sound = builtSums();

/** Every read ends where its block does, and finds the offset that it was led there for. */
function useSums(bytes: Buffer, sums: string): unknown {
  const found = BlockSums.parse(bytes, BASE_OFFSET, { sums, bytes: segmentBytes.length, endNext: END_NEXT }, checksum);
  if (found === null) return null;
  for (const offset of [0, BASE_OFFSET, BASE_OFFSET + 40, END_NEXT - 1, END_NEXT]) {
    const index = found.withOffset(offset);
    if (index === found.length) continue;
    const { start, end } = found.block(index);
    expect(start < end && end <= segmentBytes.length, `a block from ${start} to ${end}`);
    expect(index <= found.withPosition(end) && index === found.withPosition(start), 'a position is in another block');
    const piece = segmentBytes.subarray(start, end);
    if (!found.proves(index, piece)) continue;
    let at = 0;
    while (nextOffset(piece, at) <= offset) at += batchBytes(piece, at);
  }
  return found.length;
}

export const blockSums: Family = {
  name: 'block-sums',
  allocatedBytesMax: 1024,
  seeds: [
    { name: 'as it is', bytes: sound.toBytes(), read: (input) => useSums(input, sound.sum) },
    {
      name: 'summed again',
      bytes: sound.toBytes(),
      read(input) {
        const bytes = Buffer.from(input);
        for (let at = 0; at + 16 <= bytes.length; at += 16) {
          const start = at === 0 ? 0 : bytes.readUInt32BE(at - 16);
          bytes.writeBigUInt64BE(checksum(segmentBytes.subarray(start, bytes.readUInt32BE(at))), at + 8);
        }
        return useSums(bytes, checksum(bytes).toString(16).padStart(16, '0'));
      },
    },
  ],
};

// millrace.json

const identity: Identity = { format: 1, clusterId: 'oPdR3rsXQZ6kGq1vYb0w2A', nodeId: 1 };

/** The text with the checksum that what it says should have. */
function checkedAgain(text: string): string {
  try {
    const said = JSON.parse(text);
    return JSON.stringify({ ...said, checksum: checksumOf(said) });
  } catch {
    return text;
  }
}

function readIdentity(text: string): unknown {
  const { clusterId, nodeId } = identityIn(text);
  expect(/^[\w-]{22}$/.test(clusterId), `a cluster that is called ${clusterId}`);
  Buffer.alloc(4).writeInt32BE(nodeId);
  return identity;
}

export const identityFile: Family = {
  name: 'identity',
  allocatedBytesMax: 1024,
  mutate: (...mutation) => contentMutated(jsonCodec, ...mutation),
  seeds: [
    { name: 'as it is', read: (input: Buffer) => readIdentity(input.toString('utf8')) },
    { name: 'checked again', read: (input: Buffer) => readIdentity(checkedAgain(input.toString('utf8'))) },
  ].map(({ name, read }) => ({
    name,
    bytes: Buffer.from(JSON.stringify({ ...identity, checksum: checksumOf(identity) }, null, 2)),
    read,
  })),
};
