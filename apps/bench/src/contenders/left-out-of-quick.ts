import type { UnavailableContender } from "../scenario.ts";

/** What a table says of a contender that a quick run leaves out. */
export function leftOutOfQuick(contender: string): UnavailableContender {
  return { contender, why: "left out of a quick run", install: "run without --quick" };
}
