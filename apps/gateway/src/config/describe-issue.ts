import type { z } from "zod";

/** What a value must be, in a few words. Zod's own texts may quote what was received, so only those that cannot are used. */
export function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === "custom" || issue.message.startsWith("must")) return issue.message;
  if (issue.code === "invalid_type") return `must be of type ${issue.expected}`;
  if (issue.code === "unrecognized_keys") return `has unknown settings: ${issue.keys.map((key) => key.slice(0, 40)).join(", ")}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "too_small") return bound(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum);
  if (issue.code === "too_big") return bound(issue.origin, "at most", issue.maximum);
  // A name in a record, such as a provider's.
  if (issue.code === "invalid_key" && issue.issues[0]) return describeIssue(issue.issues[0]);
  return "is not of the expected form";
}

function bound(origin: string, relation: string, count: number | bigint): string {
  const things = { string: " characters", array: " items" }[origin];
  return `must ${things === undefined ? "be" : "have"} ${relation} ${count}${things ?? ""}`;
}
