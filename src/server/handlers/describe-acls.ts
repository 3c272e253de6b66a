import { Fault } from '../../base/faults.ts';
import { handler } from '../handler.ts';

export const describeAcls = handler('DescribeAcls', [1, 3], () => {
  throw new Fault('securityDisabled');
});
