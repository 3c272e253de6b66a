import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogSettings } from '../../src/log/log-settings.ts';
import { ModelledLog, type Wanted } from './log-model.ts';
import { dropCache, kill, NEVER_MS, settle } from './support.ts';

const anyWanted: fc.Arbitrary<Wanted> = fc.record({
  count: fc.integer({ min: 1, max: 5 }),
  valueBytes: fc.oneof({ weight: 9, arbitrary: fc.nat(150) }, { weight: 1, arbitrary: fc.nat(30_000) }),
  timestampMs: fc.nat(2000),
  producer: fc.nat(2),
  retryOf: fc.constantFrom(0, 0, 0, 1, 2, 5),
  until: fc.constantFrom('written', 'visible'),
});

const anySettings: fc.Arbitrary<LogSettings> = fc.record({
  segmentBytes: fc.constantFrom(400, 2000, 1 << 20),
  segmentMs: fc.constantFrom(300, NEVER_MS),
  indexIntervalBytes: fc.constantFrom(0, 300, 4096),
  flushMessages: fc.constantFrom(1, 1, 4, NEVER_MS),
  flushMs: fc.constantFrom(50, NEVER_MS),
  rot: fc.constant('stop' as const),
});

/** What is done to a log; what it is made of shows in a counterexample. */
class Step {
  readonly does: object;
  readonly #run: (log: ModelledLog) => Promise<void> | void;

  constructor(does: object, run: (log: ModelledLog) => Promise<void> | void) {
    this.does = does;
    this.#run = run;
  }

  async on(log: ModelledLog): Promise<void> {
    await this.#run(log);
  }
}

const anyAppend = fc.array(anyWanted, { minLength: 1, maxLength: 8 }).map(
  (append) =>
    new Step({ append }, async (log) => {
      const settled = log.append(append);
      // What nobody waits for is synced when its time has come.
      await until(Promise.all(settled), () => log.context.clock.advance(50));
    }),
);

const anyRead = fc
  .record({ percent: fc.nat(100), bytesMax: fc.constantFrom(0, 100, 1000, 1 << 20), atLeastOne: fc.boolean() })
  .map(
    (read) =>
      new Step({ read }, async (log) => log.read(visibleOffset(log, read.percent), read.bytesMax, read.atLeastOne)),
  );

const anyTrim = fc
  .nat(100)
  .map((trimPercent) => new Step({ trimPercent }, async (log) => log.trim(visibleOffset(log, trimPercent))));

const anyCrash = fc
  .record({
    trimPercent: fc.option(fc.nat(100), { freq: 1 }),
    underway: fc.array(anyWanted, { maxLength: 6 }),
    pauses: fc.nat(12),
    powerCut: fc.option(fc.nat(100)),
  })
  .map(
    (crash) =>
      new Step({ crash }, async (log) => {
        if (crash.trimPercent !== null) await log.trim(visibleOffset(log, crash.trimPercent));
        const underway = log.append(crash.underway);
        for (let i = 0; i < crash.pauses; i += 1) await new Promise((resolve) => setImmediate(resolve));
        await log.crash(underway, crash.powerCut);
      }),
  );

const anyChange = anySettings.map((change) => new Step({ change }, (log) => log.changeSettings(change)));

const anyStep = fc.oneof(
  { weight: 8, arbitrary: anyAppend },
  { weight: 4, arbitrary: anyRead },
  { weight: 2, arbitrary: anyCrash },
  { weight: 1, arbitrary: anyTrim },
  { weight: 1, arbitrary: anyChange },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      new Step({ restart: true }, (log) => log.restart()),
      new Step({ dropCache: true }, (log) => dropCache(log.context)),
      new Step({ rest: true }, (log) => log.log.rest(0)),
    ),
  },
);

function visibleOffset(log: ModelledLog, percent: number): number {
  return log.logStart + Math.floor(((log.log.marks.highWatermark - log.logStart) * percent) / 100);
}

async function until(work: Promise<unknown>, meanwhile: () => void): Promise<void> {
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  while (!done) {
    meanwhile();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
}

test('whatever is done to it, a log holds what was stored, in order, at its offsets, and nothing else', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(anySettings, fc.array(anyStep, { minLength: 5, maxLength: 40 }), async (settings, steps) => {
      const log = await ModelledLog.open(settings, seen);
      for (const step of steps) {
        await step.on(log);
        await settle();
        await log.check();
      }
      await kill(log.log);
    }),
    { numRuns: 40, endOnFailure: true },
  );
  expect([...seen].sort()).toEqual(['crash', 'crash that lost some', 'restart', 'retry', 'segments', 'trim']);
});
