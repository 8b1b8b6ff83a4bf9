import type { AnswerCache } from "./caching/answer-cache.ts";
import type { Settings } from "./config/schema.ts";
import { authModeOf } from "./security/authenticator.ts";
import type { SharedTier } from "./shared-tier.ts";
import type { GatewayStore } from "./storage/gateway-store.ts";

/** What `/readyz` and the dashboard tell. */
export interface HealthReport {
  /** Whether invalidations by peers may be missed now. */
  readonly isDegraded: boolean;
  readonly isDraining: boolean;
  readonly backends: Readonly<Record<string, boolean>>;
}

/** What the health is made out from. */
export interface HealthSources {
  readonly settings: Settings;
  readonly store: GatewayStore;
  readonly shared: SharedTier;
  readonly answers: AnswerCache;
}

/** Whether the gateway takes new work, and what of its surroundings works. */
export class GatewayHealth {
  /** Set when it has been told to stop. */
  isDraining = false;
  readonly #sources: HealthSources;

  constructor(sources: HealthSources) {
    this.#sources = sources;
  }

  /** Whether the database, and where they are used Redis and the bus, work, by name. Whoever asks has the database looked at for who asks next. */
  get backends(): Readonly<Record<string, boolean>> {
    const { store, shared, answers } = this.#sources;
    store.lookBehind();
    const redis = shared.isUp();
    return { database: store.isUp, ...(redis === undefined ? {} : { redis, bus: !answers.isDegraded }) };
  }

  /** Whether load balancers shall send requests here. */
  get isReady(): boolean {
    return !this.isDraining && this.#canIdentify();
  }

  report(): HealthReport {
    return { isDegraded: this.#sources.answers.isDegraded, isDraining: this.isDraining, backends: this.backends };
  }

  /** Without any key that it could know, every request would be refused. */
  #canIdentify(): boolean {
    const { settings, store } = this.#sources;
    return authModeOf(settings) !== "keys" || store.hasBeenUp;
  }
}
