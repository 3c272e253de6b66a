const LINE_FEED = 10;

/** Cuts a stream of bytes into lines; each is handed on with its line feed and is valid only during the call. */
export class LineSplitter {
  #rest: Buffer[] = [];
  readonly #take: (line: Buffer) => void;

  constructor(take: (line: Buffer) => void) {
    this.#take = take;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      const line = chunk.subarray(from, end + 1);
      if (this.#rest.length === 0) this.#take(line);
      else this.#take(this.#joined(line));
      from = end + 1;
    }
    if (from < chunk.length) this.#rest.push(chunk.subarray(from));
  }

  /** @throws Error when the bytes did not end with a line feed */
  end(): void {
    if (this.#rest.length > 0) throw new Error(`the last line was cut: ${this.#joined(Buffer.alloc(0))}`);
  }

  #joined(last: Buffer): Buffer {
    const line = Buffer.concat([...this.#rest, last]);
    this.#rest = [];
    return line;
  }
}
