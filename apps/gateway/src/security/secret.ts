import { inspect } from "node:util";

/** A credential that cannot be printed by accident: in a string, JSON, a log or `util.inspect` it reads `[redacted]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The credential itself: only where it goes into a header or is sealed. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  [inspect.custom](): string {
    return "[redacted]";
  }
}

/** A caller's own key for a provider. */
export class CallersKey extends Secret {
  /** Whether it came as a bearer token: it goes on as it came, since Anthropic takes tokens of accounts and sessions only so. */
  readonly isBearer: boolean;

  constructor(value: string, isBearer: boolean) {
    super(value);
    this.isBearer = isBearer;
  }
}
