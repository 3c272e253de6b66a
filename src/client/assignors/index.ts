import type { AssignorName } from '../consumer-options.ts';
import type { Assignor } from './assignor.ts';
import { range } from './range.ts';
import { roundRobin } from './round-robin.ts';
import { cooperativeSticky, sticky } from './sticky.ts';

export const assignors: Readonly<Record<AssignorName, Assignor>> = {
  range,
  roundrobin: roundRobin,
  sticky,
  'cooperative-sticky': cooperativeSticky,
};
