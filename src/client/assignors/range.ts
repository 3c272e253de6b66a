import { type Assignor, emptyPlan, inMemberOrder, topicsOf } from './assignor.ts';

/** Of each topic, every member has a run of partitions; the first members have one more where they do not come out even. */
export const range: Assignor = {
  name: 'range',
  isCooperative: false,
  userData: () => null,
  assign(members, counts) {
    const plan = emptyPlan(members);
    for (const topic of topicsOf(members, counts)) {
      const takers = inMemberOrder(members).filter(({ subscribed }) => subscribed.topics.includes(topic));
      const count = counts.get(topic) ?? 0;
      let partition = 0;
      takers.forEach(({ memberId }, place) => {
        const share = Math.floor(count / takers.length) + (place < count % takers.length ? 1 : 0);
        for (let taken = 0; taken < share; taken++) plan.get(memberId)?.push({ topic, partition: partition++ });
      });
    }
    return plan;
  },
};
