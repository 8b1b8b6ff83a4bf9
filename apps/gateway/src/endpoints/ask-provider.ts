import type { AbortSignalLike } from "@larder/cache-core";
import type { PlannedTarget } from "../caching/request-plan.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { CallTrace } from "../telemetry/telemetry.ts";
import { credentialHeaders, endpointUrl, type Provider } from "../upstream/provider.ts";
import type { ProviderTable } from "../upstream/provider-table.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import type { PassedRequest } from "./answer-request.ts";

/** Largest answer taken in whole. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** The status of a part of an answer: however whole it looks, it is no answer to keep (RFC 9111 3.3). */
export const PARTIAL_CONTENT = 206;
/** Headers that change the answer and are part of the key, those that providers use to know an application by, and the caller's trace. */
const FORWARDED = /^(anthropic-.*|openai-(organization|project|beta)|http-referer|x-title|traceparent|tracestate)$/;

/** What of a request goes on to a provider beside its body. */
export type Asked = Pick<PassedRequest, "path" | "search" | "headers" | "identity">;

/** One call for a request. */
export interface ProviderCall {
  /** As the provider is to get it. */
  readonly body: Buffer;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignalLike;
  /** What watches it; `undefined` where telemetry is off. */
  readonly trace: CallTrace | undefined;
}

/** Asks a provider for an answer. @throws {UpstreamFailure} when none begins that is a success */
export function askProvider(parts: GatewayParts, asked: Asked, target: PlannedTarget, call: ProviderCall): Promise<UpstreamAnswer> {
  const { provider } = target;
  const { body, signal, trace } = call;
  return parts.caller.call(
    provider,
    {
      method: "POST",
      url: endpointUrl(provider, asked.path) + asked.search,
      headers: Object.assign(headersOf(asked, target), trace?.headers),
      body,
      signal,
      timeoutMs: provider.timeoutMs,
      mayRetry: async () => isStillSaved(provider, await parts.directory.table(asked.identity)),
      onRetry: (status) => {
        parts.meter.retried(provider.id);
        trace?.retried(status);
      },
    },
    asked.identity.tenant,
  );
}

/** Begins to watch a call; `undefined` where telemetry is off. */
export function startCall(
  parts: GatewayParts,
  { family, plan, body, trace }: Pick<PassedRequest, "family" | "plan" | "body" | "trace">,
  { provider, model }: PlannedTarget,
): CallTrace | undefined {
  return parts.telemetry?.startCall({ provider, endpoint: family.kind, method: "POST", model, isStream: plan.isStream, body }, trace);
}

/** What is configured stays what it is, whatever is saved under the same id. */
function isStillSaved({ id, savedAt }: Provider, { providers }: ProviderTable): boolean {
  return savedAt === undefined || providers.get(id)?.savedAt === savedAt;
}

function headersOf({ headers: clientHeaders, identity }: Asked, { provider }: PlannedTarget): Record<string, string> {
  // Answers are read, and passed on to callers who have not said which encodings they take.
  const headers: Record<string, string> = { "content-type": "application/json", "accept-encoding": "identity" };
  for (const name in clientHeaders) {
    const value = clientHeaders[name];
    if (value !== undefined && FORWARDED.test(name)) headers[name] = value;
  }
  if (provider.kind === "anthropic") headers["anthropic-version"] ??= "2023-06-01";
  // Not spread into a literal: what is added to the copy of a spread gets a hidden class of its own, with every call.
  return Object.assign(headers, provider.headers, credentialHeaders(provider, identity.upstreamKey), identity.headers);
}
