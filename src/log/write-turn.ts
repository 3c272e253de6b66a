/** Who may write to a log's files, or have the journal do so: one at a time. It is taken and released without waiting. */
export class WriteTurn {
  #isTaken = false;
  #released: PromiseWithResolvers<void> | null = null;

  get isTaken(): boolean {
    return this.#isTaken;
  }

  take(): void {
    this.#isTaken = true;
  }

  release(): void {
    this.#isTaken = false;
    this.#released?.resolve();
    this.#released = null;
  }

  /** Resolves at the next release; by then somebody else may have taken it again. */
  released(): Promise<void> {
    if (!this.#isTaken) return Promise.resolve();
    this.#released ??= Promise.withResolvers();
    return this.#released.promise;
  }
}
