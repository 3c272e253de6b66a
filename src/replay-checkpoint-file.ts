import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import type { ReplayCheckpoint } from './client/replay/checkpoint.ts';

/**
 * Keeps a replay's checkpoint in a file. It is replaced as a whole: written beside it, synced, renamed, and the folder synced,
 * so that it survives a power cut and is never half of one. The folder must be there.
 */
export function checkpointFile(file: string): ReplayCheckpoint {
  return {
    name: file,
    async load() {
      try {
        return await readFile(file, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    async save(text) {
      const written = `${file}.new`;
      const handle = await open(written, 'w');
      try {
        await handle.writeFile(`${text}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(written, file);
      await syncFolder(path.dirname(file));
    },
  };
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders, and makes no promise for them.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
