import { readingHandler } from '../handler.ts';

/** Names of states and types are compared as Kafka does it: in any case, without blanks around. */
const plain = (words: readonly string[]): string[] => words.map((word) => word.trim().toLowerCase());

export const listGroups = readingHandler('ListGroups', [0, 5], ({ statesFilter, typesFilter }, { broker }) => {
  const [states, types] = [plain(statesFilter), plain(typesFilter)];
  const listed = Array.from(broker.groups.groups()).filter(
    ({ stateName, kind }) =>
      (states.length === 0 || states.includes(stateName.toLowerCase())) && (types.length === 0 || types.includes(kind)),
  );
  return {
    groups: listed.map(({ id, protocolType, stateName, kind }) => ({
      groupId: id,
      protocolType,
      groupState: stateName,
      groupType: kind,
    })),
  };
});
