import { Fault } from '../base/faults.ts';
import type { LogContext } from '../log/log-context.ts';
import type { ClusterState } from './cluster-state.ts';

/*
 * What the ledger knows to have been durably there, and is not there now, is lost: a volume that is not mounted, a folder that
 * somebody removed. It is never made anew by itself, since its offsets would be given again. An empty folder in its place, made
 * by hand, says that the loss is accepted.
 */

const GROUPS_FOLDER = 'ledger/groups';
/** Named in the refusal; of more than these the number is told. */
const NAMED_MAX = 20;

/** @throws Fault damagedMetadata when folders of partitions are lost */
export async function checkPartitionFolders(
  { disk, replay }: Pick<LogContext, 'disk' | 'replay'>,
  { topics, partitionsMade }: ClusterState,
): Promise<void> {
  const lost: string[] = [];
  for (const { id, name, partitions } of topics.values()) {
    const made = partitionsMade.get(id) ?? 0;
    const names = new Set(await disk.list(`topics/${id}`));
    for (let i = 0; i < partitions; i += 1) {
      const folder = `topics/${id}/${i}`;
      // The journal takes nothing for a log before its folder is durable.
      const wasThere = i < made || replay?.knows(folder) === true;
      if (wasThere && !names.has(String(i))) lost.push(`${folder} (${name}-${i})`);
    }
  }
  if (lost.length === 0) return;
  const more = lost.length > NAMED_MAX ? ` and ${lost.length - NAMED_MAX} more` : '';
  throw new Fault('damagedMetadata', {
    detail:
      `folders of partitions are gone: ${lost.slice(0, NAMED_MAX).join(', ')}${more}; mount their volume or put them ` +
      'back from a backup; to go on without their records, make them by hand as empty folders',
  });
}

/** Tells of a partition whose folder was made by hand, for one that is lost. */
export async function tellOfAcceptedLoss(
  { disk, logger }: Pick<LogContext, 'disk' | 'logger'>,
  folder: string,
): Promise<void> {
  if ((await disk.list(folder)).length > 0) return;
  logger.error({ folder }, 'the folder of a partition is empty: its records are gone');
}

/** Whether the groups' ledger may begin anew. @throws Fault damagedMetadata when it is lost */
export async function mayGroupsLedgerBeNew(
  { disk, logger }: Pick<LogContext, 'disk' | 'logger'>,
  { groupsMade }: ClusterState,
): Promise<boolean> {
  if (!groupsMade) return true;
  if ((await disk.list(GROUPS_FOLDER)).length > 0) return false;
  if (!(await disk.list('ledger')).includes('groups')) {
    throw new Fault('damagedMetadata', {
      detail:
        `${GROUPS_FOLDER} is gone; put it back from a backup; to go on without groups and committed offsets, make it by ` +
        'hand as an empty folder',
    });
  }
  logger.error({ folder: GROUPS_FOLDER }, "the groups' ledger is empty: all groups and committed offsets are gone");
  return true;
}
