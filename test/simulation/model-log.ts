import fc from 'fast-check';
import { HandMade, P, sendOf } from './hand-made.ts';
import type { History, Pending } from './history.ts';

/** What happens next to a partition, and to those who use it. */
export type Step =
  | { readonly do: 'send'; readonly acks: 1 | -1; readonly records: number; readonly answer: Answer }
  | { readonly do: 'sync' | 'poll' | 'list' }
  | { readonly do: 'trim'; readonly share: number }
  | { readonly do: 'crash'; readonly how: 'power' | 'kill'; readonly share: number };

/** 'retried': it did not come, and the producer, known by its sequence, asked again. */
type Answer = 'comes' | 'never' | 'retried' | 'refused';

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('send' as const),
        acks: fc.constantFrom(1 as const, -1 as const),
        records: fc.integer({ min: 1, max: 3 }),
        answer: fc.constantFrom<Answer>('comes', 'comes', 'never', 'retried', 'refused'),
      }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('sync' as const, 'poll' as const, 'list' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), share: fc.nat(100) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('crash' as const),
        how: fc.constantFrom('power' as const, 'kill' as const),
        share: fc.nat(100),
      }),
    },
  ),
  { minLength: 5, maxLength: 60 },
);

/** A partition that does all it promises, as short as that can be said: written records, how many are synced, where it starts. */
class ModelLog {
  readonly told = new HandMade();
  #written: string[] = [];
  #synced = 0;
  #start = 0;
  #sends = 0;
  /** Sends that wait for a sync, with their offsets. */
  #waiting: { pending: Pending<'send'>; offset: number }[] = [];
  /** Where the one reader goes on. */
  #next = 0;

  run(step: Step): void {
    if (step.do === 'send') this.#send(step);
    if (step.do === 'sync') this.#sync();
    if (step.do === 'poll') this.#poll(false);
    if (step.do === 'list') this.told.did('listOffsets', { place: P, at: 'latest' }, { offset: this.#synced });
    if (step.do === 'trim') {
      this.#start = Math.max(this.#start, Math.floor((step.share / 100) * this.#synced));
      this.told.did('trim', { place: P, before: this.#start }, { logStart: this.#start });
    }
    if (step.do === 'crash') this.#crash(step);
  }

  #send({ acks, records, answer }: Extract<Step, { do: 'send' }>): void {
    const send = this.#sends++;
    const values = Array.from({ length: records }, (_, i) => `${send}.${i}`).join(' ');
    const sequence = this.#sends * 10;
    const isKnown = answer === 'retried';
    const producer = isKnown ? { producer: { id: 7, epoch: 0, sequence }, retries: true } : {};
    const pending = this.told.begin('send', sendOf(values, { acks, ...producer }));
    if (answer === 'refused') {
      pending.fail('REFUSED');
      return;
    }
    const offset = this.#written.length;
    this.#written.push(...values.split(' '));
    if (answer === 'never') pending.info('disconnected');
    else if (acks === 1) pending.ok({ offset });
    else this.#waiting.push({ pending, offset });
  }

  #sync(): void {
    this.#synced = this.#written.length;
    for (const { pending, offset } of this.#waiting.splice(0)) pending.ok({ offset });
  }

  #poll(isFinal: boolean): void {
    const offset = isFinal ? this.#start : Math.max(this.#next, this.#start);
    const next = isFinal ? this.#synced : Math.min(this.#synced, offset + 4);
    const values = this.#written.slice(offset, next).join(' ');
    this.told.read(offset, values, { highWatermark: this.#synced, logStart: this.#start, isFinal });
    this.#next = next;
  }

  #crash({ how, share }: Extract<Step, { do: 'crash' }>): void {
    const kept = Math.round((share / 100) * (this.#written.length - this.#synced));
    // A power cut leaves a batch whole or not at all; where it cuts is the start of a request's records.
    let end = how === 'kill' ? this.#written.length : this.#synced + kept;
    while (end < this.#written.length && !this.#written[end]!.endsWith('.0')) end += 1;
    this.#written.length = end;
    this.#synced = end;
    for (const { pending } of this.#waiting.splice(0)) pending.info('disconnected');
    this.told.crash(how);
  }

  end(): History {
    this.#sync();
    this.#poll(true);
    return this.told.history();
  }
}

/** The history of a partition that does what it promises. */
export function modelHistory(steps: readonly Step[]): History {
  const log = new ModelLog();
  for (const step of steps) log.run(step);
  return log.end();
}
