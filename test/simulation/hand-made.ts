import { type Call, type History, HistoryRecorder, type Kind, type Pending, type Result } from './history.ts';

export const P = { topic: 't', partition: 0 };

/** A history written by hand: one thing after the other, a step and a millisecond each, unless it is begun and ended apart. */
export class HandMade {
  process = 1;
  timeMs = 0;
  #step = 0;
  readonly #recorder = new HistoryRecorder(() => ({ step: this.#step++, timeMs: this.timeMs++ }));

  constructor(facts: { isCompacted?: boolean; isSynced?: boolean; skipsRot?: boolean; partitions?: number } = {}) {
    this.#recorder.topic({ topic: P.topic, partitions: 1, isCompacted: false, isSynced: true, ...facts });
  }

  begin<K extends Kind>(kind: K, call: Call<K>): Pending<K> {
    return this.#recorder.invoke(this.process, kind, call);
  }

  did<K extends Kind>(kind: K, call: Call<K>, result: Result<K>): void {
    this.begin(kind, call).ok(result);
  }

  /** Records sent in one request, and acknowledged at an offset. */
  sent(offset: number, values: string, more: Partial<Call<'send'>> = {}): void {
    this.did('send', sendOf(values, more), { offset });
  }

  /** One poll: `values` are those from `offset` on, one behind the other. */
  read(offset: number, values: string, more: Partial<Result<'poll'>> & { isFinal?: boolean } = {}): void {
    const { isFinal, ...told } = more;
    const records = values === '' ? [] : values.split(' ').map((value, i) => ({ offset: offset + i, value }));
    const next = offset + records.length;
    const result = { records, next, highWatermark: told.next ?? next, logStart: 0, ...told };
    this.did('poll', { place: P, offset, ...(isFinal ? { isFinal } : {}) }, result);
  }

  /** The last reading, from `offset` on. */
  finallyRead(offset: number, values: string, more: Partial<Result<'poll'>> = {}): History {
    this.read(offset, values, { logStart: offset, ...more, isFinal: true });
    return this.history();
  }

  crash(how: 'power' | 'kill' | 'stop'): void {
    this.did('crash', { how }, {});
  }

  history(): History {
    return this.#recorder.history();
  }
}

/** A value may have its key before it: `key=value`; `key=value!` is a tombstone. */
export function sendOf(values: string, more: Partial<Call<'send'>> = {}): Call<'send'> {
  const records = values.split(' ').map((value) => ({
    value,
    ...(value.includes('=') ? { key: value.split('=')[0]! } : {}),
    ...(value.endsWith('!') ? { isTombstone: true } : {}),
  }));
  return { place: P, acks: -1, records, ...more };
}
