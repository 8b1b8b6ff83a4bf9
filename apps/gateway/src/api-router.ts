import { CacheError, type MaybePromise } from "@larder/cache-core";
import { chatFamily } from "./answers/chat.ts";
import { completionFamily } from "./answers/completion.ts";
import type { AnswerFamily } from "./answers/family.ts";
import { imageFamily } from "./answers/image.ts";
import { messagesFamily } from "./answers/messages.ts";
import { responsesFamily } from "./answers/responses.ts";
import { AnswerEndpoint } from "./endpoints/answer-endpoint.ts";
import { EmbeddingsEndpoint } from "./endpoints/embeddings-endpoint.ts";
import { isForAnthropic } from "./endpoints/is-for-anthropic.ts";
import { type ModelCatalog, ModelsEndpoint } from "./endpoints/models-endpoint.ts";
import { isAmbiguous, OpenPaths } from "./endpoints/open-paths.ts";
import { ASKED_BESIDE, passByModel } from "./endpoints/pass-by-model.ts";
import { proxy } from "./endpoints/pass-through.ts";
import type { GatewayParts } from "./gateway-parts.ts";
import type { Exchange } from "./http/exchange.ts";
import { type ErrorShape, HttpError } from "./http/http-error.ts";
import { sendError, sendFailure } from "./http/respond.ts";
import { isPromise } from "./is-promise.ts";
import type { Authenticator, Identity } from "./security/authenticator.ts";
import { UpstreamFailure } from "./upstream/upstream-failure.ts";

/** Answers one kind of request. */
type Handler = (exchange: Exchange, identity: Identity) => Promise<void>;

const FAMILIES: ReadonlyArray<readonly [path: string, family: AnswerFamily]> = [
  ["/v1/chat/completions", chatFamily],
  ["/v1/completions", completionFamily],
  ["/v1/responses", responsesFamily],
  ["/v1/messages", messagesFamily],
  ["/v1/images/generations", imageFamily],
];

/** Methods that are passed on. TRACE is not: a provider that obeys it would tell the caller the credential that it was asked with. */
const PASSED_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Methods that ask for what there is: of one, the head alone. */
const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** The API's part of the gateway: everything under `/v1/`, whatever it is mounted in. */
export class ApiRouter {
  readonly #parts: GatewayParts;
  readonly #authenticator: Pick<Authenticator, "identify">;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #models: ModelsEndpoint;
  readonly #limitsAddresses: boolean;
  /** `undefined` where all paths are open to all: there is one tenant, or each comes with a key of its own. */
  readonly #openPaths: OpenPaths | undefined;

  constructor(parts: GatewayParts, authenticator: Pick<Authenticator, "identify">, catalog: ModelCatalog) {
    this.#parts = parts;
    this.#limitsAddresses = Object.keys(parts.settings.addressLimits).length > 0;
    this.#openPaths = parts.hasTenants ? new OpenPaths(parts.settings.openPaths) : undefined;
    this.#authenticator = authenticator;
    this.#models = new ModelsEndpoint(parts, catalog);
    const handlers = new Map<string, Handler>();
    for (const [path, family] of FAMILIES) {
      const endpoint = new AnswerEndpoint(parts, family, path);
      handlers.set(`POST ${path}`, (exchange, identity) => endpoint.handle(exchange, identity));
    }
    const embeddings = new EmbeddingsEndpoint(parts);
    handlers.set("POST /v1/embeddings", (exchange, identity) => embeddings.handle(exchange, identity));
    for (const asked of ASKED_BESIDE)
      handlers.set(`POST ${asked.path}`, (exchange, identity) => passByModel(parts, asked, exchange, identity));
    this.#handlers = handlers;
  }

  /** Whether a path is the API's. */
  static owns(path: string): boolean {
    return path.startsWith("/v1/");
  }

  /** Answers a request, errors included. Never rejects. */
  async handle(came: Exchange): Promise<void> {
    const { meter, telemetry } = this.#parts;
    const exchange = telemetry ? telemetry.watch(came) : came;
    meter.inFlight += 1;
    let leave: (() => void) | undefined;
    let leaveAddress: (() => void) | undefined;
    try {
      if (this.#limitsAddresses) leaveAddress = await this.#enterAddress(came);
      // Whoever embeds the API knows the exchange that came, not the one that is watched.
      const found = this.#authenticator.identify(came);
      const identity = isPromise(found) ? await found : found;
      const entered = this.#parts.limiter.enter(identity);
      leave = isPromise(entered) ? await entered : entered;
      await this.#handlerOf(exchange)(exchange, identity);
    } catch (error) {
      this.#fail(exchange, error);
    } finally {
      meter.inFlight -= 1;
      leave?.();
      leaveAddress?.();
    }
  }

  /** Counted before anything is known of the caller: guesses at keys count as well. */
  #enterAddress(exchange: Exchange): MaybePromise<(() => void) | undefined> {
    const { limiter, trust, settings } = this.#parts;
    return limiter.enterAddress(trust.clientOf(exchange).address, settings.addressLimits);
  }

  close(): Promise<void> {
    return this.#models.close();
  }

  #handlerOf({ method, path }: Exchange): Handler {
    const handler = this.#handlers.get(`${method} ${path}`);
    if (handler) return handler;
    if (READS.has(method) && (path === "/v1/models" || path.startsWith("/v1/models/")))
      return (exchange, identity) => this.#models.handle(exchange, identity);
    if (!PASSED_METHODS.has(method))
      throw new HttpError(405, "This method is not used by the API.", { headers: { allow: [...PASSED_METHODS].join(", ") } });
    if (isAmbiguous(path)) throw new HttpError(404, "There is no such path.", { code: "not_found" });
    if (this.#openPaths && !this.#openPaths.allows(method, path))
      throw new HttpError(
        403,
        "This path reaches what the provider keeps for all tenants together. The operator can open it (LARDER_OPEN_PATHS).",
        {
          code: "path_not_open",
        },
      );
    return (exchange, identity) => proxy(this.#parts, exchange, identity);
  }

  #fail(exchange: Exchange, error: unknown): void {
    const { path } = exchange;
    const isAnthropics = path.startsWith("/v1/messages") || (!this.#handlers.has(`POST ${path}`) && isForAnthropic(exchange));
    const shape: ErrorShape = isAnthropics ? "anthropic" : "openai";
    if (error instanceof UpstreamFailure) {
      this.#parts.meter.failed("api", error.status);
      sendFailure(exchange, error, shape, []);
      return;
    }
    const known = toHttpError(error);
    this.#parts.meter.failed("api", known.status);
    if (known.status === 500) {
      const { address } = this.#parts.trust.clientOf(exchange);
      this.#parts.log.error({ error, requestId: exchange.requestId, clientAddress: address }, "a request failed unexpectedly");
    }
    sendError(exchange, known, shape);
  }
}

function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (CacheError.is(error) && error.code === "ERR_CACHE_CLOSED")
    return new HttpError(503, "The gateway is shutting down.", { code: "shutting_down" });
  return new HttpError(500, "The gateway failed to answer. The request id tells the log line.", { code: "internal_error" });
}
