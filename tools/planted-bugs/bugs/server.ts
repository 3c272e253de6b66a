import { hangingTest, type PlantedBug, test } from '../planted-bug.ts';

const ORDER = hangingTest(
  'server/order',
  'acks=0 that cannot be written, after it was accepted, ends the connection; the broker goes on',
);

const SLOW_READERS = test(
  'server/slow-readers',
  'while others read as fast as they can, into the same memory again and again each reader gets the bytes that were written, however slowly it takes them',
);

const OVERTAKEN = test(
  'server/compacted-produce',
  'a new producer’s first batch has waited for too long: what it sent behind it is not stored before it',
);

/** What clients are told. */
export const serverBugs: readonly PlantedBug[] = [
  {
    name: 'failures of acks=0 ignored',
    wrong:
      'A record sent with acks=0 that could not be written goes without a sign: the producer never learns that its records are lost.',
    file: 'src/server/handlers/produce.ts',
    find: 'await Promise.all(all.map(({ produced }) => produced!.settled));',
    replace: 'await Promise.allSettled(all.map(({ produced }) => produced!.settled));',
    caughtBy: [ORDER],
  },
  {
    name: 'acks=all answered when written',
    wrong: 'acks=all is answered as acks=1 is: a power cut takes acknowledged records.',
    file: 'src/broker/produce.ts',
    find: "[-1]: 'visible',",
    replace: "[-1]: 'written',",
    caughtBy: [
      test(
        'server/durable-first',
        'until the disk says that a record is stored, acks=all is not answered and nobody reads it, whatever acks it had',
      ),
    ],
  },
  {
    name: 'fetch above the high watermark',
    wrong: 'A fetch returns what is written and not durable: a consumer works on records that a power cut takes back.',
    file: 'src/broker/fetch.ts',
    find: 'endNext: log.marks.highWatermark,',
    replace: 'endNext: log.marks.writtenNext,',
    caughtBy: [
      test(
        'server/durable-first',
        'until the disk says that a record is stored, acks=all is not answered and nobody reads it, whatever acks it had',
      ),
    ],
  },
  {
    name: 'time to come of a later record not looked at',
    wrong: 'Only a batch’s first timestamp is checked: one record of the year 9999 keeps its segment for ever.',
    file: 'src/broker/produce.ts',
    find: 'const largestMs = maxTimestamp(records, 0);',
    replace: 'const largestMs = Math.min(firstMs, maxTimestamp(records, 0));',
    caughtBy: [test('broker/topic-settings', 'message.timestamp.type and the limits of timestamps')],
  },
  {
    name: 'checksum of a produced batch not checked',
    wrong: 'A batch that the network changed is stored: its consumers find it damaged for ever.',
    file: 'src/broker/produce.ts',
    find: 'if (fault !== null) throw fault;',
    replace: "if (fault !== null && fault.fault !== 'corruptBatch') throw fault;",
    caughtBy: [
      test(
        'server/bad-input',
        'batches that are not what they should be are refused, and the next one is stored a flipped bit',
      ),
    ],
  },
  {
    name: 'memory of an answer given back before it is sent',
    wrong:
      'What a fetch read is released when its answer is made, not when it is sent: a slow consumer gets other bytes.',
    file: 'src/server/handlers/fetch.ts',
    find: 'context.onSent?.(releaseOf(fetched));',
    replace: 'for (const { buffers } of fetched) buffers.forEach(releaseOf(fetched));',
    caughtBy: [
      test(
        'server/slow-readers',
        'a reader that takes its time gets what it asked for, whatever is written until then',
      ),
      SLOW_READERS,
    ],
  },
  {
    name: 'memory of an answer given back when its first piece is sent',
    wrong:
      'A buffer counts as sent when the operating system has taken what was before it: a slow consumer gets other bytes.',
    file: 'src/server/outbox.ts',
    find: 'if (endBytes > this.#takenBytes) break;',
    replace: 'if (endBytes - buffer.length > this.#takenBytes) break;',
    caughtBy: [SLOW_READERS],
  },
  {
    name: 'no room kept for who reads',
    wrong:
      'Clients that ask on and read nothing get all that answers may hold: everybody else is told that there is nothing new.',
    file: 'src/server/answer-budget.ts',
    find: 'if (!asksAhead) return Math.max(share, Math.min(freeBytes, RESERVE_SHARE_BYTES));',
    replace: 'if (!asksAhead) return share < SHARE_BYTES_MIN ? 0 : share;',
    caughtBy: [
      test('server/backpressure', 'clients that ask on and read nothing do not keep others from what they ask for'),
    ],
  },
  {
    name: 'short write taken for a whole one',
    wrong:
      'When the operating system takes a part of a write, the rest is skipped: the log has a hole of what was acknowledged.',
    file: 'src/disk/real-disk.ts',
    find: 'rest = withoutFirst(rest, count);',
    replace: 'rest = withoutFirst(rest, Math.max(count, piece[0]!.length));',
    caughtBy: [
      test(
        'disk/real-disk',
        'the operating system takes a write in pieces of at most 7 bytes: all bytes land where they belong',
      ),
    ],
  },
  {
    name: 'later requests not kept back while keys are looked for',
    wrong:
      'While a compressed batch for a compacted topic is decompressed, what its producer sent later is stored: the order of its records is lost.',
    file: 'src/server/connection.ts',
    find: 'this.#inOrder = true;',
    replace: 'this.#inOrder = false;',
    caughtBy: [
      test(
        'server/compacted-produce',
        'while the keys of a batch are looked for others are answered, and what the same client asked later waits its turn',
      ),
    ],
  },
  {
    name: 'batch that waited for too long refused for a moment',
    wrong:
      'A batch whose keys could not be looked for in time is answered with a fault that may pass: what its new producer sent behind it is stored, and itself never.',
    file: 'src/broker/record-keys.ts',
    find: "throw new Fault('requestTimedOut'",
    replace: "return new Fault('requestTimedOut'",
    caughtBy: [OVERTAKEN],
  },
  {
    name: 'later requests started when one failed in its order',
    wrong:
      'When a batch has waited for too long and its connection is to end, what came behind it is still stored: its new producer cannot send it again.',
    file: 'src/server/connection.ts',
    find: 'const done = await work();',
    replace: 'const done = await work().finally(() => ((this.#inOrder = false), this.#proceed()));',
    caughtBy: [OVERTAKEN],
  },
  {
    name: 'wrong request told to the one it waited for',
    wrong:
      'In the same process, a request of wrong values that waited for another fails that one: its stored record is told to be refused, and what waits behind it has no answer.',
    file: 'src/local-connector.ts',
    find: 'order.start(async () => dispatch(',
    replace: 'order.start(() => dispatch(',
    caughtBy: [
      test(
        'server/compacted-produce',
        'a client in the same process: a request that is wrong fails alone, also when it waited its turn',
      ),
    ],
  },
  {
    name: 'bytes of requests not counted when their client has gone',
    wrong:
      'A client that sends large requests and goes, again and again, has the broker hold as many of them as it likes: it runs out of memory.',
    file: 'src/server/connection.ts',
    find: 'this.#countRequest(this.#workedOnBytes - this.#bytesInFlight);',
    replace: 'this.#countRequest(-this.#bytesInFlight);',
    caughtBy: [
      test(
        'server/dropped-requests',
        'a request that is worked on when its client goes is counted until that has ended',
      ),
    ],
  },
  {
    name: 'batch kept in memory that others receive into',
    wrong: 'While a batch is decompressed to look for its keys, other clients’ bytes get into it.',
    file: 'src/server/handlers/produce.ts',
    find: 'if (context.lendsRecords) for (const part of parts)',
    replace: 'if (!context.lendsRecords) for (const part of parts)',
    caughtBy: [
      test('server/compacted-produce', 'what a batch waits in is its own: other clients’ bytes do not get into it'),
    ],
  },
  {
    name: 'missing keys of compressed batches not told of',
    wrong:
      'A compacted topic takes records without a key when their batch is compressed: compaction drops them without a word.',
    file: 'src/broker/produce.ts',
    find: 'if (keyFault !== null) throw keyFault;',
    replace: 'if (keyFault !== null && settings.compaction === null) throw keyFault;',
    caughtBy: [
      test(
        'server/compacted-produce',
        'each batch is refused for what is wrong with it, and no other: batches that hold much',
      ),
    ],
  },
];
