import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { AppendGroup } from '../../src/log/append-group.ts';
import { failureOf, settle } from './support.ts';

/** How a group stands, without waiting for it. */
async function stateOf(group: AppendGroup): Promise<'waiting' | 'settled' | 'refused'> {
  let state: 'waiting' | 'settled' | 'refused' = 'waiting';
  group.settled.then(
    () => (state = 'settled'),
    () => (state = 'refused'),
  );
  await settle();
  return state;
}

test('settles with the last of its parts, and only at the stage that was asked for', async () => {
  const group = new AppendGroup(2, 'visible');
  group.reached('written');
  group.reached('written');
  group.reached('visible');
  expect(await stateOf(group)).toBe('waiting');
  group.reached('visible');
  expect(await stateOf(group)).toBe('settled');
});

test('is refused with the first of its parts, whatever comes later', async () => {
  const group = new AppendGroup(3, 'written');
  const fault = new Fault('diskFull');
  group.reached('written');
  group.failed(fault);
  group.failed(new Fault('diskError'));
  group.reached('written');
  expect(await failureOf(group.settled)).toBe(fault);
});

test('of no parts is settled', async () => {
  expect(await stateOf(new AppendGroup(0, 'visible'))).toBe('settled');
});
