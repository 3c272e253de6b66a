import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** Before the tests: builds what is stale. The command line is tested as it is published, which starts in a third of the time. */
export default function build(): void {
  const prepare = path.join(import.meta.dirname, '../tools/prepare.mjs');
  const { status } = spawnSync(process.execPath, [prepare, '--build'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the build failed');
}
