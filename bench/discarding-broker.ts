/*
 * The ceiling: node discarding-broker.ts PORT. Keeps nothing but the last batch of a topic, and answers every fetch with
 * copies of that, as if all batches had been the same: what is measured is the Java client and the socket.
 */
import { type BareStore, listenBare } from './bare-kafka.ts';

interface Topic {
  endNext: number;
  batch: Buffer;
  recordCount: number;
}

const topics = new Map<string, Topic>();

const store: BareStore = {
  async append(topic, batch, recordCount) {
    const baseOffset = store.endNext(topic);
    const kept = topics.get(topic);
    // The largest is kept: the last one may hold a single record.
    const larger = kept === undefined || recordCount >= kept.recordCount;
    const stays = larger ? { batch: Buffer.from(batch), recordCount } : kept;
    topics.set(topic, { ...stays, endNext: baseOffset + recordCount });
    return baseOffset;
  },
  endNext: (topic) => topics.get(topic)?.endNext ?? 0,
  async read(topic, offset, bytesMax) {
    const kept = topics.get(topic);
    if (kept === undefined || offset >= kept.endNext) return Buffer.alloc(0);
    const copies = Math.max(1, Math.floor(bytesMax / kept.batch.length));
    const bytes = Buffer.allocUnsafe(copies * kept.batch.length);
    for (let copy = 0; copy < copies; copy += 1) {
      const at = copy * kept.batch.length;
      kept.batch.copy(bytes, at);
      // The CRC does not cover the base offset.
      bytes.writeBigInt64BE(BigInt(offset + copy * kept.recordCount), at);
    }
    return bytes;
  },
};
listenBare(store, Number(process.argv[2]));
