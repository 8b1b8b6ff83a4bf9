import { isSendable, upstreamIdHeaders } from "../http/respond.ts";
import type { Secret } from "../security/secret.ts";
import { headerOf, type UpstreamAnswer } from "../upstream/upstream.ts";

/**
 * What is not for the caller, though the provider says it. Of the connection: Node frames ours by itself. Of the provider's own site and of the
 * operator's account: cookies, other addresses, rules for browsers, the organisation. For servers in front of us, which would act on it:
 * `x-accel-redirect` has nginx send a file of its own. Of the request and the cache: those names are ours.
 */
const KEPT_BACK = new RegExp(
  `^(${[
    "connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|date|content-length",
    "set-cookie2?|alt-svc|server|via|x-powered-by|cf-.*|www-authenticate|strict-transport-security|access-control-.*|cross-origin-.*",
    "content-security-policy.*|clear-site-data|refresh|nel|report-to|reporting-endpoints|openai-(organization|project)|anthropic-organization-id",
    "x-accel-.*|x-sendfile|x-lighttpd-.*|x-reproxy-.*|x-middleware-.*|x-nextjs-.*|surrogate-.*",
    "(x-)?request-id|x-larder-.*|cache-status|age",
  ].join("|")})$`,
);
/** Shorter ones stand in for a key where none is needed, and mean nothing in a header. */
const MIN_SECRET_LENGTH = 8;

/**
 * The headers of an answer that goes past the cache, as a flat list: the provider's own, but for those above and any that quotes a credential.
 * @param mayChange whether what goes on may have another length than what came
 */
export function passedHeaders({ headers }: UpstreamAnswer, mayChange: boolean, secrets: ReadonlyArray<Secret | undefined>): string[] {
  const credentials = secrets.flatMap((secret) => secret?.reveal() ?? []).filter((text) => text.length >= MIN_SECRET_LENGTH);
  const ofConnection = new Set(
    headerOf(headers, "connection")
      ?.toLowerCase()
      .split(/[\s,]+/),
  );
  const passed: string[] = [];
  for (const name in headers) {
    if (KEPT_BACK.test(name) || ofConnection.has(name)) continue;
    const value = headerOf(headers, name) ?? "";
    // A file's name may be in any language.
    const isPassed = name === "content-disposition" || (isSendable(value) && !credentials.some((text) => value.includes(text)));
    if (isPassed) passed.push(name, value);
  }
  passed.push(...upstreamIdHeaders(headers));
  // Once Node knows the length, it takes a `content-disposition` apart in a way in which it then refuses file names that are not ASCII.
  const length = mayChange ? undefined : headerOf(headers, "content-length");
  return length === undefined ? passed : [...passed, "content-length", length];
}
