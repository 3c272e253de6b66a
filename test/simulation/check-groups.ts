import { checkCommits } from './check-commits.ts';
import { checkHandling } from './check-handling.ts';
import { checkMembers } from './check-members.ts';
import { GroupStory, groupNames } from './group-story.ts';
import type { History } from './history.ts';
import type { Violation } from './violation.ts';

/**
 * What is wrong with the groups of a history; empty when all is well. What a group was told to have committed stays until
 * somebody commits something else, removes it, or it may expire.
 */
export function checkGroups(history: History): Violation[] {
  return groupNames(history).flatMap((group) => {
    const story = new GroupStory(group, history);
    return [...checkCommits(story), ...checkMembers(story), ...checkHandling(story, history)];
  });
}
