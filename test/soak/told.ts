import { producerOf, type RecordId, shown } from './numbered-value.ts';

/**
 * How a topic is judged. `exact`: of idempotent producers, so each record is there at most once and in the order of its sends.
 * `present`: what was acknowledged is where the answer said; retries may double. `latest`: a compacted topic, of whose records
 * only the newest of each key must be there.
 */
export type Judgement = 'exact' | 'present' | 'latest';

/** What a log reaches from and to, and what clients had been told before that was asked for. */
export interface Found {
  readonly logStart: number;
  readonly endNext: number;
  readonly toldNext: number;
  readonly numbers: ReadonlyMap<number, number>;
}

/** What clients were told of one partition: by answers to producers, and by the records that readers were given. */
export class ToldPartition {
  readonly name: string;
  readonly #judgement: Judgement;
  /** By offset; holes where nobody was told anything. */
  readonly #ids: RecordId[] = [];
  /** Of a compacted topic: the last acknowledged number of each key. */
  readonly #numbers = new Map<number, number>();
  #logStart = 0;
  acknowledged = 0;

  constructor(name: string, judgement: Judgement) {
    this.name = name;
    this.#judgement = judgement;
  }

  /** Offsets below were given to a record that somebody was told of. */
  get toldNext(): number {
    return this.#ids.length;
  }

  /** A producer was told that its record is stored. Returns what is wrong with that, or null. */
  acknowledge(offset: number, id: RecordId, key: number): string | null {
    this.acknowledged += 1;
    this.#numbers.set(key, Math.max(this.#numbers.get(key) ?? -1, id % 2 ** 32));
    return this.#tell(offset, id);
  }

  #tell(offset: number, id: RecordId): string | null {
    const before = this.#ids[offset];
    if (before !== undefined && before !== id) {
      return `${this.name} offset ${offset}: ${shown(id)}, where ${shown(before)} was before`;
    }
    this.#ids[offset] = id;
    return null;
  }

  /** The last acknowledged number of each key, as it is now. */
  numbersNow(): ReadonlyMap<number, number> {
    return new Map(this.#numbers);
  }

  /** Begins to judge what a reader is given from `from` up to the end of the log. */
  judge(from: number, { logStart, endNext, toldNext, numbers }: Found): Judge {
    const offences: string[] = [];
    if (logStart < this.#logStart) offences.push(`${this.name} began at ${this.#logStart}, and now at ${logStart}`);
    this.#logStart = logStart;
    if (toldNext > endNext) offences.push(`${this.name} ends at ${endNext}, and was known to ${toldNext}`);
    return new Judge(this.name, this.#judgement, from, endNext, offences, {
      told: (offset) => this.#ids[offset],
      tell: (offset, id) => this.#tell(offset, id),
      numbers,
    });
  }
}

interface Known {
  told(offset: number): RecordId | undefined;
  tell(offset: number, id: RecordId): string | null;
  numbers: ReadonlyMap<number, number>;
}

/** One reading of a partition, in its order. */
export class Judge {
  readonly offences: string[];
  readonly #name: string;
  readonly #judgement: Judgement;
  readonly #endNext: number;
  readonly #known: Known;
  readonly #lastOf = new Map<number, RecordId>();
  readonly #newest = new Map<number, number>();
  #next: number;
  records = 0;

  constructor(name: string, judgement: Judgement, from: number, endNext: number, offences: string[], known: Known) {
    this.#name = name;
    this.#judgement = judgement;
    this.#next = from;
    this.#endNext = endNext;
    this.offences = offences;
    this.#known = known;
  }

  take(offset: number, id: RecordId | null, key: number): void {
    this.records += 1;
    this.#missing(offset);
    this.#next = offset + 1;
    if (id === null) {
      this.#offend(`offset ${offset} holds a value that nobody sent`);
      return;
    }
    const wrong = this.#known.tell(offset, id);
    if (wrong !== null) this.offences.push(wrong);
    if (this.#judgement === 'present') return;
    const producer = producerOf(id);
    const last = this.#lastOf.get(producer) ?? -1;
    if (last >= id) this.#offend(`offset ${offset}: ${shown(id)} comes after ${shown(last)}`);
    this.#lastOf.set(producer, id);
    this.#newest.set(key, id % 2 ** 32);
  }

  /** All was read. */
  end(): readonly string[] {
    this.#missing(this.#endNext);
    for (const [key, number] of this.#judgement === 'latest' ? this.#known.numbers : []) {
      const newest = this.#newest.get(key) ?? -1;
      if (newest < number) this.#offend(`key ${key} has number ${newest}, and was acknowledged with ${number}`);
    }
    return this.offences;
  }

  #missing(before: number): void {
    if (this.#judgement === 'latest') return;
    for (; this.#next < before; this.#next += 1) {
      this.#offend(`offset ${this.#next} is missing, where ${shown(this.#known.told(this.#next))} was`);
    }
  }

  #offend(what: string): void {
    this.offences.push(`${this.#name} ${what}`);
  }
}
