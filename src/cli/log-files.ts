import type { StoppedFolder, StoredLog } from '../stopped-folder.ts';
import type { Values } from './command.ts';
import { note } from './output.ts';
import { UsageError } from './usage-error.ts';

export const pathPositional = {
  path: { type: 'string', demandOption: true, describe: "A data folder, a partition's folder, or a .log file" },
} as const;

/** Which logs of a folder. */
export const logFlags = {
  topic: { type: 'string', array: true, requiresArg: true, describe: 'Only this topic; repeatable' },
  partition: {
    alias: 'p',
    type: 'number',
    array: true,
    requiresArg: true,
    describe: 'Only this partition; repeatable',
  },
} as const;

/**
 * Runs `use` with the logs that the arguments choose, while no broker can open the folder. Ledgers are among them only where
 * nothing else lies. `warns`: whether what could not be found out is said. @throws UsageError when there are none; Fault folderInUse and others
 */
export async function withLogs(
  { path, topic, partition }: Values<typeof pathPositional> & Values<typeof logFlags>,
  use: (folder: StoppedFolder, logs: readonly StoredLog[]) => Promise<void>,
  { warns = true } = {},
): Promise<void> {
  const { openStoppedFolder } = await import('../stopped-folder.ts');
  const folder = await openStoppedFolder(path);
  try {
    if (warns) for (const warning of folder.warnings) note(`millrace: ${warning}`);
    if (folder.logs.length === 0) {
      throw new UsageError(`${path} holds no log; name a data folder, a partition's folder or a .log file`);
    }
    const logs = folder.logs.filter(
      (log) =>
        (topic === undefined || (log.topic !== null && topic.includes(log.topic))) &&
        (partition === undefined || (log.partition !== null && partition.includes(log.partition))),
    );
    if (logs.length === 0)
      throw new UsageError(`${path} holds no such topic or partition; millrace log verify lists all`);
    await use(folder, logs);
  } finally {
    await folder.close();
  }
}

/** Partitions, or where there are none, ledgers. */
export function partitionsFirst(logs: readonly StoredLog[]): readonly StoredLog[] {
  const partitions = logs.filter((log) => log.kind === 'partition');
  return partitions.length > 0 ? partitions : logs;
}
