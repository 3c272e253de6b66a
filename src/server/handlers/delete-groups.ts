import { faultOf, handler } from '../handler.ts';

export const deleteGroups = handler('DeleteGroups', [0, 3], async ({ groupsNames }, { broker }) => ({
  results: await Promise.all(
    groupsNames.map(async (groupId) => {
      const fault = await faultOf(() => broker.groups.remove(groupId));
      return { groupId, errorCode: fault?.code ?? 0, errorMessage: fault?.message ?? null };
    }),
  ),
}));
