import type { Context } from "hono";
import type { z } from "zod";
import { describeIssue } from "../config/describe-issue.ts";

/** Answers with an error in OpenAI's shape. */
export function refuse(
  context: Context,
  status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 501 | 503,
  message: string,
  param: string | null = null,
): Response {
  const type = status === 401 ? "authentication_error" : status >= 500 ? "server_error" : "invalid_request_error";
  return context.json({ error: { message, type, param, code: null } }, status);
}

/** Reads and checks a JSON body. Problems name fields and kinds, never what was sent: it may be a credential. */
export async function readJson<T>(
  context: Context,
  schema: z.ZodType<T>,
): Promise<{ readonly value: T } | { readonly response: Response }> {
  let body: unknown;
  try {
    body = JSON.parse(await context.req.text());
  } catch {
    return { response: refuse(context, 400, "The body is not valid JSON.") };
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return { value: parsed.data };
  const issue = parsed.error.issues[0];
  const field = issue?.path.map(String).join(".") || "body";
  // Names are not repeated: whoever has put a body together wrongly may have put a credential there.
  const problem = issue === undefined || issue.code === "unrecognized_keys" ? "has unknown fields" : describeIssue(issue);
  return { response: refuse(context, 400, `The field ${field.slice(0, 100)} ${problem}.`, field.slice(0, 100)) };
}
