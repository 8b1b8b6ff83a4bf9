import type { AnswerFamily, PassedFamily } from "../answers/family.ts";
import type { RequestPlan } from "../caching/request-plan.ts";
import type { Identity } from "../security/authenticator.ts";
import type { RequestTrace } from "../telemetry/telemetry.ts";

/** One request on its way to a provider. */
export interface AnswerRequest {
  readonly family: AnswerFamily;
  readonly path: string;
  /** The query with its question mark; empty when there is none. */
  readonly search: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly identity: Identity;
  readonly plan: RequestPlan;
  readonly body: Buffer;
  readonly ttlMs: number;
  readonly requestId: string;
  /** What the call belongs to, where telemetry is on. */
  readonly trace?: RequestTrace | undefined;
  /** Told of the upstream's headers that go on to whoever made the call. */
  onHead?(headers: string[]): void;
  /** Told that the answer must not be kept. */
  onRefused?(reason: string): void;
}

/** One that goes past the cache. */
export interface PassedRequest extends Omit<AnswerRequest, "family" | "ttlMs" | "onHead" | "onRefused"> {
  readonly family: PassedFamily;
}
