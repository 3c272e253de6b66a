/** What the members of a group have handled of one topic, whoever of them it was. */
export class Handled {
  /** By partition and offset: how often. */
  readonly #counts: number[][];

  constructor(partitions: number) {
    this.#counts = Array.from({ length: partitions }, () => []);
  }

  add(partition: number, offset: number): void {
    const counts = this.#counts[partition];
    if (counts === undefined) throw new Error(`there is no partition ${partition}`);
    counts[offset] = (counts[offset] ?? 0) + 1;
  }

  get repeats(): number {
    return this.#counts.flat().reduce((sum, count) => sum + count - 1, 0);
  }

  /** The records before each partition's end that nobody has handled, as `partition:offset`, up to a few. */
  missing(endsNext: readonly number[]): string[] {
    const missing: string[] = [];
    for (const [partition, endNext] of endsNext.entries()) {
      for (let offset = 0; offset < endNext && missing.length < 5; offset += 1) {
        if (this.#counts[partition]![offset] === undefined) missing.push(`${partition}:${offset}`);
      }
    }
    return missing;
  }
}

/**
 * Whether one member was given the records of each partition in order: one after the other, without a gap, from wherever it began
 * when the partition was assigned to it.
 */
export class MemberOrder {
  readonly #expected = new Map<number, number>();
  readonly #mayRepeat: boolean;
  /** What was out of order first. */
  disorder: string | null = null;

  /** `mayRepeat`: a client that goes back to the committed offset without saying that it was assigned anew. */
  constructor(mayRepeat: boolean) {
    this.#mayRepeat = mayRepeat;
  }

  assigned(partition: number): void {
    this.#expected.delete(partition);
  }

  handled(partition: number, offset: number): void {
    const expected = this.#expected.get(partition) ?? offset;
    const inOrder = this.#mayRepeat ? offset <= expected : offset === expected;
    if (!inOrder) this.disorder ??= `partition ${partition}: offset ${offset} came where ${expected} should`;
    this.#expected.set(partition, offset + 1);
  }
}
