import { describeInvalidations } from "./describe-invalidations.ts";
import { describeLoadPolicies } from "./describe-load-policies.ts";
import { describeLoads } from "./describe-loads.ts";
import type { DescribeReadThroughCacheOptions } from "./describe-read-through-options.ts";
import { ReadThroughSuite } from "./read-through-suite.ts";

/**
 * The conformance suite of the `ReadThroughCache` contract, beside `describeCache`: call it in a test file, once per implementation or combination.
 * It holds a cache to what its callers rely on: one load at a time, policies for what is old or fails, and invalidations behind which nothing old comes back.
 */
export function describeReadThroughCache(name: string, options: DescribeReadThroughCacheOptions): void {
  const suite = new ReadThroughSuite(options);
  suite.describe(`${name} keeps the contract of a read-through cache`, () => {
    describeLoads(suite);
    describeLoadPolicies(suite);
    describeInvalidations(suite);
  });
}
