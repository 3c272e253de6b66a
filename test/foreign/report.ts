/** Counts checks and prints one line for each as it ends. */
export class Report {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly #only: string | undefined;

  constructor(only: string | undefined) {
    this.#only = only;
  }

  /** Whether checks whose names begin so were asked for. */
  wants(name: string): boolean {
    return this.#only === undefined || name.startsWith(this.#only);
  }

  /** Runs a check, which fails by throwing; a string it gives is printed as a remark. @returns whether it passed */
  async check(name: string, run: () => Promise<unknown>): Promise<boolean> {
    if (!this.wants(name)) return false;
    const startedMs = performance.now();
    const seconds = (): string => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
    try {
      const remark = await run();
      this.passed += 1;
      print(`ok    ${name} (${seconds()}${typeof remark === 'string' ? `; ${remark}` : ''})`);
      return true;
    } catch (error) {
      this.failed += 1;
      print(`FAIL  ${name} (${seconds()})\n${indented(error)}`);
      return false;
    }
  }

  skip(name: string, reason: string): void {
    this.skipped += 1;
    print(`skip  ${name}: ${reason}`);
  }

  fail(name: string, reason: string): void {
    this.failed += 1;
    print(`FAIL  ${name}\n${indented(reason)}`);
  }

  summary(): string {
    return `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`;
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function indented(error: unknown): string {
  const text = error instanceof Error ? [error.message, error.cause].filter(Boolean).join('\n') : String(error);
  return text.replaceAll(/^/gm, '      ');
}
