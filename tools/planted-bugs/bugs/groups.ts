import { type PlantedBug, simulation, test } from '../planted-bug.ts';

/** Consumer groups and their offsets. */
export const groupBugs: readonly PlantedBug[] = [
  {
    name: 'commit answered before it is durable',
    wrong:
      'A committed offset is answered at once: after a power cut the group goes back, and records are worked on twice.',
    file: 'src/broker/groups/group-coordinator.ts',
    find: 'await this.#append(offsetEvents(id, commits, nowMs, expiresAtMs));',
    replace: 'void this.#append(offsetEvents(id, commits, nowMs, expiresAtMs)).catch(() => {});',
    caughtBy: [
      test('broker/groups/group-coordinator', 'a restart keeps every commit that was answered, however the power goes'),
    ],
  },
  {
    name: 'commit of a zombie accepted',
    wrong: 'A member of an earlier generation commits: the offset of the partition’s new owner goes back.',
    file: 'src/broker/groups/classic-group.ts',
    find: "if (generation !== this.currentGeneration) throw new Fault('illegalGeneration');",
    replace: "if (generation > this.currentGeneration) throw new Fault('illegalGeneration');",
    caughtBy: [test('broker/groups/classic-transcripts', 'zombies.txt'), simulation(1)],
  },
  {
    name: 'commit of a zombie of the new protocol accepted',
    wrong: 'A member commits with an epoch from before it lost the partition: the offset of the new owner goes back.',
    file: 'src/broker/groups/consumer/live-consumer-group.ts',
    find: 'if (generation > member.epoch || !partitions.every(isOwn)) throw staleEpoch(member);',
    replace:
      'if (generation > member.epoch || partitions.some((one) => generation < 0 && !isOwn(one))) throw staleEpoch(member);',
    caughtBy: [test('broker/groups/consumer-transcripts', 'commits.txt')],
  },
  {
    name: 'generation not raised',
    wrong:
      'A rebalance ends in the generation in which it began: a member that missed it keeps its partitions beside their new owners.',
    file: 'src/broker/groups/classic-rebalance.ts',
    find: 'this.currentGeneration += 1;\n    this.chosenProtocol = this.roster.chosenProtocol();',
    replace: 'this.currentGeneration ||= 1;\n    this.chosenProtocol = this.roster.chosenProtocol();',
    caughtBy: [test('broker/groups/classic-transcripts', 'joining.txt')],
  },
  {
    name: 'assignment answered before it is durable',
    wrong: 'Members get an assignment that a crash takes back: after the restart two members have one partition.',
    file: 'src/broker/groups/group-coordinator.ts',
    find: 'await this.#append(events).catch((error: unknown) => {',
    replace: 'void this.#append(events).catch((error: unknown) => {',
    caughtBy: [
      test(
        'broker/groups/group-coordinator',
        'a full disk refuses commits and rebalances for as long as it is full, and changes nothing',
      ),
    ],
  },
  {
    name: 'sessions on the wall clock',
    wrong: 'When the system’s clock is set, every member’s session ends at once, and all groups rebalance.',
    file: 'src/broker/groups/group-clock.ts',
    find: 'return Math.floor(this.#clock.monotonicMs() - this.#startMs);',
    replace: 'return Math.floor(this.#clock.wallMs() - this.#startMs);',
    caughtBy: [
      test(
        'broker/groups/group-coordinator',
        'time a jump of the clock by 315360000000 ms ends no session and expires nothing',
      ),
      simulation(1),
    ],
  },
  {
    name: 'standstill ends sessions',
    wrong: 'After a broker stood still, members that could not be heard count as silent: all are thrown out at once.',
    file: 'src/broker/groups/group-alarms.ts',
    find: 'if (nowMs - dueMs > STALLED_MS) {',
    replace: 'if (nowMs - dueMs > Number.MAX_SAFE_INTEGER) {',
    caughtBy: [
      test(
        'broker/groups/group-bounds',
        'a group is woken at its deadline; after a standstill, only when its members could say that they live',
      ),
    ],
  },
  {
    name: 'offsets of topics that are read expire',
    wrong:
      'The offset of a partition that a member reads, without new records, expires: at the next start it reads all again.',
    file: 'src/broker/groups/offset-expiry.ts',
    find: 'if (group.isSubscribedTo(topic)) continue;',
    replace: 'if (group.isSubscribedTo(topic) && group.isEmpty) continue;',
    caughtBy: [
      test(
        'broker/groups/group-coordinator',
        'time offsets of topics that members read do not expire; those of others do',
      ),
    ],
  },
  {
    name: 'commit on its way removed by expiry',
    wrong: 'An offset that is committed while its expiry is on its way to the disk goes with the old one.',
    file: 'src/broker/groups/committed-offsets.ts',
    find: 'committed.committedAtMs > (committedUntilMs ?? Infinity)',
    replace: 'committed.committedAtMs > (committedUntilMs ?? 0) + Infinity',
    caughtBy: [
      test('broker/folds', 'a removal that was decided before a commit leaves the commit, however late it comes'),
    ],
  },
  {
    name: 'single offsets left out when the ledger is written again',
    wrong: 'A topic of which a group has committed one partition loses that offset when the ledger is written again.',
    file: 'src/broker/groups/committed-offsets.ts',
    find: 'if (stored.length > 0) yield',
    replace: 'if (stored.length > 1) yield',
    caughtBy: [test('broker/folds', 'what the groups’ state tells again makes the same state')],
  },
  {
    name: 'partition given before its owner gave it up',
    wrong: 'A member gets a partition that another still reads: two members work on the same records.',
    file: 'src/broker/groups/consumer/reconcile.ts',
    find: 'if (isTaken(topic, partition)) waits = true;',
    replace: 'if (isTaken(topic, partition) && member.epoch === 0) waits = true;',
    caughtBy: [
      test(
        'broker/groups/consumer-invariants',
        'two members never have one partition, epochs only rise, events make the state, and calm comes',
      ),
    ],
  },
  {
    name: 'place taken back with what was committed before',
    wrong:
      'A static member takes its place back from another process: a commit that it sent before that one came counts, and the offset goes back.',
    file: 'src/broker/groups/consumer/decide.ts',
    find: '[partition, groupEpoch]',
    replace: '[partition, Math.min(groupEpoch, partitions.get(partition)!)]',
    caughtBy: [test('broker/groups/consumer-transcripts', 'taken-back.txt')],
  },
  {
    name: 'migration forgets who has what',
    wrong:
      'A classic group becomes one of the new protocol, and its members’ partitions are given to others while they read on.',
    file: 'src/broker/groups/consumer/migration.ts',
    find: 'assigned: heldSince(generation, assignment, topics, taken),',
    replace: 'assigned: heldSince(generation, [], topics, taken),',
    caughtBy: [simulation(1, 24)],
  },
  {
    name: 'migration gives away what is being given up',
    wrong:
      'A classic group becomes one of the new protocol while a cooperative member is told to give up a partition: another one gets it, and both read it.',
    file: 'src/broker/groups/consumer/migration.ts',
    find: 'heldSince(epoch, owned, topics, taken)]',
    replace: 'heldSince(epoch, owned.slice(owned.length), topics, taken)]',
    caughtBy: [
      test(
        'server/group-migration',
        'what a member was told to give up is given to nobody before it has, also when the group goes over meanwhile',
      ),
    ],
  },
  {
    name: 'refused migration takes a generation back',
    wrong:
      'A disk is full when a classic group is to become one of the new protocol: its members are of an earlier generation again, or not known.',
    file: 'src/broker/groups/group-coordinator.ts',
    find: 'if (!group.isVoid) this.#groups.set(id, group);',
    replace: '',
    caughtBy: [
      test('server/group-migration', 'a disk that refuses does not take back a generation that members were told'),
    ],
  },
  {
    name: 'generation lowered by a migration',
    wrong:
      'A group that becomes a classic one begins with a low generation: what members of long ago commit is taken for that of today.',
    file: 'src/broker/groups/consumer/migration.ts',
    find: 'generation: group.epoch,',
    replace: 'generation: 1,',
    caughtBy: [simulation(9, 24)],
  },
  {
    name: 'member joins again after it has left',
    wrong:
      'A consumer is closed while its heartbeat waits for a connection: the heartbeat joins after the leave, and nobody has the partitions until that session ends.',
    file: 'src/client/consumer-member.ts',
    find: 'if (this.#stopped && this.#epoch < 0) return;',
    replace: '',
    caughtBy: [
      test(
        'client/membership',
        'a member that is closed while a heartbeat waits for a connection does not join again once it has left',
      ),
    ],
  },
  {
    name: 'commit of before a loss tried again after it',
    wrong:
      'A commit waits to be tried again while the member loses the partition and gets it back: it goes over what another member has committed.',
    file: 'src/client/group-committer.ts',
    find: 'return cursor !== undefined && cursor === asked.get(offset);',
    replace: 'return cursor !== undefined && asked.has(offset);',
    caughtBy: [
      test(
        'client/membership',
        'a commit of before a loss is none of what is had again since, whatever another has committed meanwhile, by the protocol classic',
      ),
      test(
        'client/membership',
        'a commit of before a loss is none of what is had again since, whatever another has committed meanwhile, by the protocol consumer',
      ),
    ],
  },
  {
    name: 'last commit of a worker after its partition was taken',
    wrong:
      'A worker’s last commit waits for the one before it, and the partition goes to another worker and comes back meanwhile: the offset goes back.',
    file: 'src/client/worker/assigned-partition.ts',
    find: 'if (this.#ended.signal.aborted) return false;',
    replace: '',
    caughtBy: [
      test(
        'client/worker/commits',
        'what was finished of a partition that was taken away while a commit before it was on its way is not committed',
      ),
      test(
        'client/worker/worker',
        'a partition that comes back before its drain has ended is another one: nothing of the old one is committed',
      ),
    ],
  },
];
