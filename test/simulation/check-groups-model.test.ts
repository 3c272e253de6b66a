import { checkGroups } from './check-groups.ts';
import type { History, Membership, OkOperation } from './history.ts';
import { placeName } from './history.ts';
import { groupSteps, modelGroupHistory } from './model-group.ts';
import { modelSuite, type Plant, put } from './model-suite.ts';
import { ofKind, okOfKind } from './partition-story.ts';

/* A group that does what it promises is never accused; one wrong thing in what it tells is always found. */

type Fetch = OkOperation<'fetchCommitted'>;

function told(history: History, fetch: Fetch, committed: { offset: number; tag: string } | null): History {
  return put(history, { ...fetch, result: { offsets: [{ ...fetch.call.places[0]!, committed }] } });
}

/** One of the readings of what somebody has committed, and was told to have. */
function somethingFetched(
  history: History,
  pick: number,
): { fetch: Fetch; committed: { offset: number; tag: string } } | null {
  const acknowledged = new Set(okOfKind(history.operations, 'commit').map(({ call }) => call.tag));
  const fetches = okOfKind(history.operations, 'fetchCommitted').flatMap((fetch) => {
    const { committed } = fetch.result.offsets[0]!;
    const isAcknowledged = acknowledged.has(committed?.tag ?? '');
    return committed === null || !isAcknowledged ? [] : [{ fetch, committed }];
  });
  return fetches[pick % fetches.length] ?? null;
}

const begin = (history: History) => history.operations.findLastIndex(({ kind }) => kind === 'deleteGroup') + 1;

/** Each makes one thing wrong, or answers null where it cannot. `pick` chooses among what there is. */
const PLANTED: Record<string, Plant> = {
  'a committed offset is lost': (history, pick) => {
    const some = somethingFetched(history, pick);
    return some === null ? null : told(history, some.fetch, null);
  },
  'a committed offset goes back': (history, pick) => {
    const some = somethingFetched(history, pick);
    if (some === null) return null;
    const name = placeName(some.fetch.call.places[0]!);
    const commits = okOfKind(history.operations, 'commit').filter(({ index, call }) => {
      return index < some.fetch.index && placeName(call.offsets[0]!) === name;
    });
    const older = commits.at(-2);
    if (older === undefined || commits.at(-1)!.call.tag !== some.committed.tag) return null;
    return told(history, some.fetch, { offset: older.call.offsets[0]!.offset, tag: older.call.tag });
  },
  'what is told was never committed': (history, pick) => {
    const some = somethingFetched(history, pick);
    return some === null ? null : told(history, some.fetch, { ...some.committed, offset: some.committed.offset + 1 });
  },
  'the commit of a zombie is accepted': (history, pick) => {
    const refused = ofKind(history.operations, 'commit').filter(({ outcome }) => outcome === 'fail');
    const commit = refused[pick % refused.length];
    if (commit === undefined) return null;
    const { index, kind, process, invoked, call } = commit;
    return put(history, {
      index,
      kind,
      process,
      invoked,
      call,
      completed: commit.completed!,
      outcome: 'ok',
      result: {},
    });
  },
  'two members have a partition': (history, pick) => {
    const notes = okOfKind(history.operations, 'owns').filter(
      ({ index, call }) => index > begin(history) && call.places.length > 0,
    );
    const first = notes[pick % notes.length];
    const second = notes.find(
      ({ call }) => call.generation === first?.call.generation && call.member !== first.call.member,
    );
    if (first === undefined || second === undefined) return null;
    const places = [...second.call.places, first.call.places[0]!];
    return put(history, { ...second, call: { ...second.call, places } });
  },
  'a generation goes back': (history, pick) => {
    const joins = okOfKind(history.operations, 'join').filter(
      ({ index, result }) => index > begin(history) && result.generation > 1,
    );
    const join = joins[pick % joins.length];
    return join === undefined
      ? null
      : put(history, { ...join, result: { ...join.result, generation: join.result.generation - 2 } });
  },
  'a member is removed that was heard just before': (history, pick) => {
    const heard = Map.groupBy(okOfKind(history.operations, 'heartbeat'), ({ call }) => call.member);
    const crashes = okOfKind(history.operations, 'crash');
    const later = [...heard.values()].flatMap((beats) =>
      beats.filter(
        ({ index }, i) => i > 1 && !crashes.some((at) => at.index > beats[i - 1]!.index && at.index < index),
      ),
    );
    const beat = later[pick % later.length];
    if (beat === undefined) return null;
    const { index, kind, process, invoked, completed, call } = beat;
    return put(history, {
      index,
      kind,
      process,
      invoked,
      completed,
      call,
      outcome: 'fail',
      error: 'UNKNOWN_MEMBER_ID',
    });
  },
  'a member commits what it never read': (history, pick) => {
    const commits = okOfKind(history.operations, 'commit').filter(({ call }) => call.as !== undefined);
    const commit = commits[pick % commits.length];
    if (commit === undefined) return null;
    const as = commit.call.as as Membership;
    const offsets = commit.call.offsets.map((placed) => ({ ...placed, offset: 900 }));
    return put(history, { ...commit, call: { ...commit.call, as, offsets } });
  },
};

modelSuite('a group', { steps: groupSteps, historyOf: modelGroupHistory, check: checkGroups, planted: PLANTED });
