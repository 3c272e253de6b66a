import { defineConfig } from 'vitest/config';

/** The parts that need no broker, no other process and no minute: what `npm run check` runs. */
const quick = ['test/tidy.test.ts', 'test/{base,record,wire,log,ledger}/**/*.test.ts'];

export default defineConfig({
  test: {
    // Real sockets, files and processes: generous, since a slow machine is no failure.
    testTimeout: 60_000,
    // A JVM on a busy machine.
    hookTimeout: 180_000,
    // What is to come about is waited for as long as the test may take: a second is over soon on a busy machine.
    expect: { poll: { timeout: 50_000 } },
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'quick', include: quick } },
      {
        extends: true,
        test: {
          name: 'whole',
          include: ['test/**/*.test.ts'],
          exclude: [...quick, 'test/foreign/**'],
          globalSetup: 'test/build.ts',
        },
      },
    ],
  },
});
