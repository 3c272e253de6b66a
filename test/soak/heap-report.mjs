// Loaded before the broker: on SIGUSR2 it collects all garbage, and writes what is left. Plain JavaScript, since --import runs it
// in whatever process is started.
import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');
const path = process.env.SOAK_HEAP_REPORT;

process.on('SIGUSR2', () => {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  writeFileSync(`${path}.new`, JSON.stringify({ heapUsed, arrayBuffers }));
  renameSync(`${path}.new`, path);
});
