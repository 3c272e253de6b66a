import { Fault } from '../base/faults.ts';
import { type Fields, misfit } from '../base/shape.ts';

/** What the fields of a ledger's events must be, by the kind of event. */
export type EventShapes<Event extends { readonly type: string }> = {
  readonly [Type in Event['type']]: Fields<Omit<Extract<Event, { readonly type: Type }>, 'type'>>;
};

/**
 * Whether an event that was read is one that this version writes, field by field.
 * @throws Fault folderTooNew for one of an unknown kind, damagedMetadata for one that is not as its kind is
 */
export function checkShape<Event extends { readonly type: string }>(event: Event, shapes: EventShapes<Event>): void {
  const type: unknown = event.type;
  if (typeof type !== 'string') throw new Fault('damagedMetadata', { detail: 'an event without a type' });
  if (!Object.hasOwn(shapes, type)) throw new Fault('folderTooNew', { detail: `a ledger holds a ${type} event` });
  const field = misfit(event, shapes[type as Event['type']]);
  if (field !== null) throw wrongEvent(type, `its ${field} cannot be`);
}

export function wrongEvent(type: string, what: string): Fault {
  return new Fault('damagedMetadata', { detail: `a ${type} event: ${what}` });
}
