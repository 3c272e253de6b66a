/** How far a batch must have come before its append is answered. */
export type AppendStage = 'written' | 'visible';

/**
 * Batches that are answered together: one for a produce to one partition, several for what must become durable in several
 * partitions at once. Each partition reports its part; the group settles with the last one, or with the first failure.
 */
export class AppendGroup {
  readonly until: AppendStage;
  readonly settled: Promise<void>;
  #resolve!: () => void;
  #reject!: (fault: unknown) => void;
  #waitingFor: number;

  constructor(parts: number, until: AppendStage) {
    this.until = until;
    this.#waitingFor = parts;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (parts === 0) this.#resolve();
  }

  /** One part has reached `stage`. */
  reached(stage: AppendStage): void {
    if (stage !== this.until) return;
    this.#waitingFor -= 1;
    if (this.#waitingFor === 0) this.#resolve();
  }

  failed(fault: unknown): void {
    this.#reject(fault);
    // Whether anyone waits is the appender's choice; a failure is logged where it happens.
    this.settled.catch(() => {});
  }
}
