import { expect, test } from 'vitest';
import { HistoryRecorder } from './history.ts';

test('what an operation came to is told once: nothing that comes later makes an answered one unanswered', () => {
  const recorder = new HistoryRecorder(() => ({ step: 0, timeMs: 0 }));
  const leave = recorder.invoke(1, 'leave', { group: 'g', member: 'a', generation: 1 });
  leave.ok({});
  expect(() => leave.info('disconnected')).toThrow('an operation ended twice');
  expect(recorder.history().operations[0]!.outcome).toBe('ok');
});
