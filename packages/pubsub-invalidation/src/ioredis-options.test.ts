import { systemRandom } from "@larder/cache-core";
import { expect, test } from "vitest";
import { dataOptions } from "./ioredis-options.ts";

// Regression: Redis 6.2 says in front of the word where in a script it stands; the bus stayed with a master that had been demoted.
test.each([
  ["READONLY You can't write against a read only replica.", true],
  ["@user_script: 3: -READONLY You can't write against a read only replica.  ", true],
  ["OOM command not allowed when used memory > 'maxmemory'.", false],
])("a server that says %j is left: %s", (message, isLeft) => {
  const { reconnectOnError } = dataOptions(1_000, systemRandom) as { reconnectOnError(error: Error): boolean };
  expect(reconnectOnError(new Error(message))).toBe(isLeft);
});
