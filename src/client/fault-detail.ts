import { type Fault, faults } from '../base/faults.ts';

/** What precisely went wrong: a fault's message without what its catalogue entry says in general, for use in another fault. */
export function detailOf(fault: Fault): string {
  const general = `${faults[fault.fault].says}: `;
  return fault.message.startsWith(general) ? fault.message.slice(general.length) : fault.message;
}
