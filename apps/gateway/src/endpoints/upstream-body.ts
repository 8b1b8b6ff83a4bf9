import { isObject, parseObject } from "../answers/json.ts";
import type { PlannedTarget } from "../caching/request-plan.ts";
import type { Provider } from "../upstream/provider.ts";
import { addMember, setMember } from "../upstream/rewrite-body.ts";
import type { UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { PassedRequest } from "./answer-request.ts";

/*
 * A stream of chat or completions tells its usage only to whoever asks. A stored answer is told to callers who do, so a stream that is to be kept is
 * asked for it, whatever the caller says. Some older providers do not know the field and refuse the request for it: they are asked once more, in
 * the caller's own words, and remembered.
 */

/** Providers that have refused a stream for the usage that was asked for with it. */
const refusesUsage = new WeakSet<Provider>();

type Bodied = Pick<PassedRequest, "family" | "plan" | "body">;

/**
 * The body as the provider gets it: the client's bytes, with its own name for the model. @param asksUsage whether a stream that would not
 * tell its usage is asked for it
 */
export function upstreamBody(request: Bodied, target: PlannedTarget, asksUsage: boolean): Buffer {
  const { plan } = request;
  let { body } = request;
  if (target.model !== plan.model) body = setMember(body, "model", target.model);
  if (!asksUsage || !hidesUsage(request) || refusesUsage.has(target.provider)) return body;
  if (!plan.hasStreamOptions) return addMember(body, "stream_options", { include_usage: true });
  const told = parseObject(request.body.toString("utf8"))?.stream_options;
  return setMember(body, "stream_options", Object.assign(isObject(told) ? told : {}, { include_usage: true }));
}

/** Whether a provider may have refused what it was asked for beside the caller's own words. */
export function isUsageRefusal(request: Bodied, { provider }: PlannedTarget, { status, body }: UpstreamFailure): boolean {
  if (!hidesUsage(request) || (status !== 400 && status !== 422) || refusesUsage.has(provider)) return false;
  return body?.includes("stream_options") ?? false;
}

/** The provider is not asked for usage again, as long as its configuration stays what it is. */
export function rememberUsageRefusal({ provider }: PlannedTarget): void {
  refusesUsage.add(provider);
}

/** Whether the answer is a stream that tells its usage only when asked, and the caller has not asked. */
function hidesUsage({ family, plan }: Bodied): boolean {
  return plan.isStream && !plan.includeUsage && (family.kind === "chat" || family.kind === "completion");
}
