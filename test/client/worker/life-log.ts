import { decodeFinished, type OffsetRange } from '../../../src/client/worker/finished-beyond.ts';

/** By partition. */
type Committed = Map<string, { offset: number; ranges: OffsetRange[] }>;

/** What a worker that was killed again and again has done, from the lines that killed-worker.ts writes. */
export class LifeLog {
  lives = 0;
  /** Begun and not ended when a life ended: in the handler's hands, or waiting for another attempt. */
  inWorkAtKills = 0;
  /** Ended when a life ended, without a commit that tells of it. */
  uncommittedAtKills = 0;
  /** Begun though they had been begun in an earlier life. */
  repeats = 0;
  /** Of those, worked to the end before. */
  workedAgain = 0;
  /** Records worked, each once however often. */
  readonly ended = new Set<string>();
  /** What should not be: empty. */
  readonly offences: string[] = [];
  #rest = '';
  readonly #begunBefore = new Set<string>();
  readonly #committed: Committed = new Map();
  /** As it was when the life began. */
  #committedBefore: Committed = new Map();
  /** Of this life: the record of each key that is in work, and what was ended. */
  #inWork = new Map<string, string>();
  #endedHere = new Set<string>();
  /** The value that was worked last of each key in this life, and the highest one in any. */
  #last = new Map<string, number>();
  readonly #highest = new Map<string, number>();

  /** What was written since the last time; it may end within a line. */
  take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#takeLine(line);
  }

  #takeLine(line: string): void {
    const [what, partition = '', offset = '', key = '', value = ''] = line.split(' ');
    const id = `${partition} ${offset}`;
    if (what === 'life') this.#begin();
    else if (what === 'begin') this.#beginRecord(id, key);
    else if (what === 'end') this.#endRecord(id, key, Number(value));
    else if (what === 'commit') {
      this.#committed.set(partition, { offset: Number(offset), ranges: decodeFinished(Number(offset), key) });
    }
  }

  #begin(): void {
    if (this.lives > 0) this.#killed();
    this.lives++;
    this.#committedBefore = new Map(this.#committed);
    this.#inWork = new Map();
    this.#endedHere = new Set();
    this.#last = new Map();
  }

  #killed(): void {
    this.inWorkAtKills += this.#inWork.size;
    for (const id of this.#endedHere) if (!isIn(this.#committed, id)) this.uncommittedAtKills++;
    for (const id of [...this.#inWork.values(), ...this.#endedHere]) this.#begunBefore.add(id);
  }

  #beginRecord(id: string, key: string): void {
    if (this.#inWork.has(key)) this.offences.push(`${key}: two at once, at ${id}`);
    if (isIn(this.#committedBefore, id)) this.offences.push(`${id} was worked though its end was committed`);
    if (this.#begunBefore.has(id)) this.repeats++;
    if (this.ended.has(id)) this.workedAgain++;
    this.#inWork.set(key, id);
  }

  #endRecord(id: string, key: string, value: number): void {
    // In a life one after another; and the first of a life is at most one further than any life was before.
    const last = this.#last.get(key);
    const highest = this.#highest.get(key) ?? -1;
    const isInOrder = last === undefined ? value <= highest + 1 : value === last + 1;
    if (!isInOrder) this.offences.push(`${key}: ${value} after ${last ?? `${highest} of an earlier life`}`);
    this.#last.set(key, value);
    this.#highest.set(key, Math.max(highest, value));
    this.#inWork.delete(key);
    this.#endedHere.add(id);
    this.ended.add(id);
  }
}

function isIn(committed: Committed, id: string): boolean {
  const [partition = '', text = ''] = id.split(' ');
  const found = committed.get(partition);
  const offset = Number(text);
  if (found === undefined) return false;
  return offset < found.offset || found.ranges.some(({ start, endNext }) => start <= offset && offset < endNext);
}
