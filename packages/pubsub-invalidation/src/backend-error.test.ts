import { expect, test } from "vitest";
import { toBackendError, wordOf } from "./backend-error.ts";

// Regression: Redis 6.2 says in front of the word where in a script it stands.
test.each([
  ["READONLY You can't write against a read only replica.", "READONLY"],
  ["-READONLY You can't write against a read only replica.", "READONLY"],
  ["@user_script: 3: -READONLY You can't write against a read only replica.  ", "READONLY"],
  ["ERR Error running script (call to f_0a9a51): @user_script:41: @user_script: 41: -OOM command not allowed when used memory.  ", "OOM"],
  ["ERR Error running script (call to f_0a9a51): @user_script:4: user_script:4: attempt to compare nil with number ", "ERR"],
  ["OOM command not allowed when used memory > 'maxmemory'. script: a7f30a777e3a, on @user_script:1.", "OOM"],
])("the word of %j is %s", (message, word) => {
  expect(wordOf(new Error(message))).toBe(word);
  expect(toBackendError(new Error(message)).message).toContain(`Redis failed: ${word}`);
});
