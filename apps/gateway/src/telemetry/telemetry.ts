import type { Endpoint } from "@larder/cache-core/keys";
import type { TokenUsage } from "../answers/family.ts";
import type { JsonObject } from "../answers/json.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Provider } from "../upstream/provider.ts";

/** A request that is being watched. */
export interface RequestTrace {
  /** What calls made for this request hang below; known to the telemetry alone. */
  readonly context: unknown;
  /** The answer's head: status, and headers as a flat list of names and values. */
  begun(status: number, headers: readonly string[]): void;
  /** The answer is over. Anything told later is ignored. */
  ended(outcome: "complete" | "broken off" | "abandoned"): void;
}

/** A call to a provider, as it is told. */
export interface CallDescription {
  readonly provider: Provider;
  /** What is asked for; `undefined` for a request that is passed on unread. */
  readonly endpoint: Endpoint | undefined;
  readonly method: string;
  /** The model's name at the provider; empty when there is none. */
  readonly model: string;
  readonly isStream: boolean;
  /** The request, for its numeric parameters; nothing else of it is looked at. */
  readonly body: Buffer | undefined;
}

/** What a call brought. */
export interface CallResult {
  readonly status?: number;
  /** The whole answer, for its id, model and finish reasons; `undefined` when it was passed on unread. */
  readonly answer?: JsonObject | undefined;
  readonly usage?: TokenUsage | undefined;
}

/** A call to a provider that is being watched, retries included. Ends once. */
export interface CallTrace {
  /** Headers that tell the provider which trace the call belongs to. */
  readonly headers: Readonly<Record<string, string>>;
  /** The first piece of a stream has come. */
  firstChunk(): void;
  /** An attempt failed with this status, and another follows. */
  retried(status: number): void;
  succeeded(result: CallResult): void;
  failed(error: unknown): void;
}

/** Traces and metrics that leave the process. There is none of it, and nothing is paid for it, unless an exporter is configured. */
export interface Telemetry {
  /** Begins to watch a request. @returns the exchange to answer it by */
  watch(exchange: Exchange): Exchange;
  /** Begins to watch a call to a provider, made for a request where one is known. */
  startCall(call: CallDescription, parent: RequestTrace | undefined): CallTrace;
  /** Sends what is left, for a bounded time. Calling it again is fine. */
  close(): Promise<void>;
}
