import { Fault } from '../../base/faults.ts';
import { readingHandler } from '../handler.ts';

export const describeAcls = readingHandler('DescribeAcls', [1, 3], () => {
  throw new Fault('securityDisabled');
});
