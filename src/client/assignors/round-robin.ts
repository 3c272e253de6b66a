import { type Assignor, emptyPlan, inMemberOrder, topicsOf } from './assignor.ts';

/** All partitions of all topics, dealt out one at a time; members that did not subscribe the topic are passed over. */
export const roundRobin: Assignor = {
  name: 'roundrobin',
  isCooperative: false,
  userData: () => null,
  assign(members, counts) {
    const plan = emptyPlan(members);
    const takers = inMemberOrder(members);
    let turn = 0;
    for (const topic of topicsOf(members, counts)) {
      for (let partition = 0; partition < (counts.get(topic) ?? 0); partition++) {
        while (!takers[turn % takers.length]!.subscribed.topics.includes(topic)) turn++;
        plan.get(takers[turn % takers.length]!.memberId)?.push({ topic, partition });
        turn++;
      }
    }
    return plan;
  },
};
