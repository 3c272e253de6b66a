import { Fault } from '../base/faults.ts';
import type { StoredLog } from '../stopped-folder.ts';
import type { Finding } from '../stored-proofs.ts';
import { visible } from './table.ts';

export function lineOf({ kind, file, position, what }: Finding): string {
  const at = position === null ? '' : ` at byte ${position}`;
  return `${kind}: ${visible(file)}${at}: ${visible(what)}\n`;
}

/** What a command ends with that came upon this damage. */
export function faultOf(findings: readonly Finding[], logs: readonly StoredLog[]): Fault {
  const places = new Set(findings.map(({ file }) => placeOf(file, logs)));
  const count = `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`;
  return new Fault('damagedFiles', {
    detail: `${count} in ${[...places].join(', ')}; restore what is lost from a copy`,
  });
}

/** The log that a file belongs to, as people call it; of the broker's own files, the file. */
function placeOf(file: string, logs: readonly StoredLog[]): string {
  return logs.find(({ folder }) => file === folder || file.startsWith(`${folder}/`))?.label ?? file;
}
