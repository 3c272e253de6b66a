import { withEachTarget } from '../targets.ts';
import { workerSuite } from './worker-suite.ts';

withEachTarget('the worker', workerSuite);
