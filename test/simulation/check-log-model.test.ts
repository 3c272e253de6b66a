import { checkLog } from './check-log.ts';
import type { History, OkOperation, Operation, Result } from './history.ts';
import { modelHistory, steps } from './model-log.ts';
import { modelSuite, type Plant, put } from './model-suite.ts';
import { okOfKind } from './partition-story.ts';

/* A partition that does what it promises is never accused; one wrong thing in what it tells is always found. */

const finalPoll = (history: History) => okOfKind(history.operations, 'poll').at(-1)!;

function tell(history: History, poll: OkOperation<'poll'>, told: Partial<Result<'poll'>>): History {
  return put(history, { ...poll, result: { ...poll.result, ...told } });
}

/** Sends that were acknowledged by what survives everything, and lie in the final reading. */
function keptSends(history: History): OkOperation<'send'>[] {
  const values = new Set(finalPoll(history).result.records.map(({ value }) => value));
  return okOfKind(history.operations, 'send').filter(
    ({ call }) => call.acks === -1 && call.records.every(({ value }) => values.has(value)),
  );
}

/** Each makes one thing wrong, or answers null where it cannot. `pick` chooses among what there is. */
const PLANTED: Record<string, Plant> = {
  'an acknowledged record at the end of the log is lost': (history) => {
    const final = finalPoll(history);
    const { records, highWatermark } = final.result;
    const last = keptSends(history).find(({ call }) => call.records.at(-1)!.value === records.at(-1)?.value);
    if (last === undefined) return null;
    const next = highWatermark - last.call.records.length;
    return tell(history, final, { records: records.slice(0, -last.call.records.length), next, highWatermark: next });
  },
  'a record is left out of a reading': (history, pick) => {
    const polls = okOfKind(history.operations, 'poll').filter(({ result }) => result.records.length > 0);
    const poll = polls[pick % polls.length];
    if (poll === undefined) return null;
    return tell(history, poll, { records: poll.result.records.toSpliced(pick % poll.result.records.length, 1) });
  },
  'two records have changed places': (history, pick) => {
    const final = finalPoll(history);
    const records = [...final.result.records];
    const sends = keptSends(history);
    const send = sends[pick % sends.length];
    if (send === undefined) return null;
    const at = records.findIndex(({ value }) => value === send.call.records[0]!.value);
    if (at + 1 >= records.length) return null;
    const [a, b] = [records[at]!, records[at + 1]!];
    records.splice(at, 2, { ...a, value: b.value }, { ...b, value: a.value });
    return tell(history, final, { records });
  },
  'a record is there twice': (history, pick) => {
    const final = finalPoll(history);
    const { records, next } = final.result;
    const copied = records[pick % records.length];
    if (copied === undefined) return null;
    const told = { records: [...records, { ...copied, offset: next }], next: next + 1, highWatermark: next + 1 };
    return tell(history, final, told);
  },
  'a reader saw what was never sent': (history, pick) => {
    const polls = okOfKind(history.operations, 'poll').filter(({ result }) => result.records.length > 0);
    const poll = polls[pick % polls.length];
    if (poll === undefined) return null;
    const at = pick % poll.result.records.length;
    return tell(history, poll, {
      records: poll.result.records.with(at, { ...poll.result.records[at]!, value: 'garbage' }),
    });
  },
  'a refused send was done all the same': (history, pick) => {
    const seen = new Set(finalPoll(history).result.records.map(({ value }) => value));
    const sends = history.operations.filter((op): op is Operation<'send'> => op.kind === 'send');
    const there = sends.filter(({ call }) => call.records.some(({ value }) => seen.has(value)));
    const send = there[pick % there.length];
    if (send === undefined) return null;
    const { index, kind, process, invoked, call } = send;
    const completed = send.completed ?? invoked;
    return put(history, { index, kind, process, invoked, call, completed, outcome: 'fail', error: 'REFUSED' });
  },
  'an acknowledgement names another offset': (history, pick) => {
    const sends = keptSends(history);
    const send = sends[pick % sends.length];
    if (send === undefined) return null;
    return put(history, { ...send, result: { offset: send.result.offset! + 1 } });
  },
  'the high watermark goes back': (history) => {
    const listing = okOfKind(history.operations, 'listOffsets').findLast(({ index, result }) =>
      okOfKind(history.operations, 'poll').some(
        (poll) => poll.index < index && result.offset > 0 && poll.result.highWatermark === result.offset,
      ),
    );
    return listing === undefined ? null : put(history, { ...listing, result: { offset: listing.result.offset - 1 } });
  },
  'the log start goes back': (history) => {
    const final = finalPoll(history);
    const trimmed = okOfKind(history.operations, 'trim').some(({ result }) => result.logStart > 0);
    return trimmed ? tell(history, final, { logStart: final.result.logStart - 1 }) : null;
  },
  'the log start passes what nobody asked to remove': (history) => {
    const final = finalPoll(history);
    const { records, logStart } = final.result;
    const send = keptSends(history).find(({ result }) => result.offset === logStart);
    if (send === undefined || records.length < 2) return null;
    const polled = { ...final, call: { ...final.call, offset: logStart + 1 } };
    return tell(put(history, polled), polled, { records: records.slice(1), logStart: logStart + 1 });
  },
};

modelSuite('a partition', { steps, historyOf: modelHistory, check: checkLog, planted: PLANTED });
