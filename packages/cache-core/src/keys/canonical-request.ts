import { types } from "node:util";
import { fromByteText } from "./byte-text.ts";
import { joinMembers } from "./canonical-reader.ts";
import { checkEndpoint, type FieldPolicy, type FieldRole, fieldPolicy } from "./field-roles.ts";
import { readBytes, readParsed } from "./read-source.ts";
import type { Endpoint } from "./request-fields.ts";
import type { Member } from "./sort-members.ts";

/**
 * A request body: its bytes as they came, or the plain object that they say. Bytes are better: a parsed value has lost digits past double
 * precision. Any `object` to the compiler, since clients' request types are interfaces, which no record takes; what is none is refused when read.
 */
export type RequestSource = Uint8Array | object;

/** One top-level field of a request. */
export interface RequestField {
  readonly name: string;
  /** The value in canonical JSON, as byte text: one character for each byte of UTF-8. */
  readonly form: string;
  /** What the field is to the key; `undefined` when nobody classified it, and then it is part of the key. */
  readonly role: FieldRole | undefined;
  readonly isInKey: boolean;
}

/** A request body read once: what it says, and what it shares with every body that means the same. */
export class CanonicalRequest {
  readonly endpoint: Endpoint;
  /** Whether every number is a double: when not, `body` has lost digits that the key has. */
  readonly isExact: boolean;
  /** Normalizers that have changed this request, in the order they ran. They are part of the key. */
  readonly normalizers: readonly string[];
  readonly #members: readonly Member[];
  readonly #source: RequestSource;
  #body: Readonly<Record<string, unknown>> | undefined;
  #model: string | undefined;

  constructor(endpoint: Endpoint, members: readonly Member[], isExact: boolean, source: RequestSource, normalizers: readonly string[]) {
    this.endpoint = endpoint;
    this.#members = members;
    this.isExact = isExact;
    this.normalizers = normalizers;
    this.#source = source;
  }

  /** All top-level fields, sorted by name. */
  get fields(): readonly RequestField[] {
    return this.#members.map(({ name, form }) => {
      const policy = fieldPolicy(this.endpoint, name);
      return { name, form, role: policy.role, isInKey: isInKey(policy, form) };
    });
  }

  /** The body as a value: parsed at the first use when bytes were given. Not to be changed. */
  get body(): Readonly<Record<string, unknown>> {
    this.#body ??= types.isUint8Array(this.#source)
      ? (JSON.parse(utf8(this.#source)) as Record<string, unknown>)
      : (this.#source as Readonly<Record<string, unknown>>);
    return this.#body;
  }

  /** The model asked for; `""` when there is none or it is not a string. */
  get model(): string {
    this.#model ??= this.#readModel();
    return this.#model;
  }

  /** One top-level field's value, without parsing the others; `undefined` when it is absent. */
  get(name: string): unknown {
    const form = this.form(name);
    return form === undefined ? undefined : (JSON.parse(fromByteText(form)) as unknown);
  }

  /**
   * One top-level field in canonical form (byte text); `undefined` when it is absent. `"true"` is the form of `true`. It may be a slice
   * of the body's text and then keeps all of it in memory: not to be stored.
   */
  form(name: string): string | undefined {
    for (const member of this.#members) if (member.name === name) return member.form;
    return undefined;
  }

  /**
   * Fields that tie the request to something the upstream keeps: a conversation, a background run, `store: true`. Empty for most.
   * Such a request should go past the cache unless the caller insists.
   */
  get statefulFields(): readonly string[] {
    return this.fields.filter(isStateful).map((field) => field.name);
  }

  #readModel(): string {
    const form = this.form("model");
    if (form === undefined || !form.startsWith('"')) return "";
    // V8 copies a short slice. A longer one points into the body's text, which whoever keeps the model would keep as well: parsing copies.
    return SHORT_PLAIN_STRING.test(form) ? form.slice(1, -1) : (JSON.parse(fromByteText(form)) as string);
  }

  /** The canonical form (byte text) of the fields in the key, but for those left out. */
  keyForm(without?: string): string {
    const included: Member[] = [];
    for (const member of this.#members)
      if (member.name !== without && isInKey(fieldPolicy(this.endpoint, member.name), member.form)) included.push(member);
    return joinMembers(included);
  }
}

/** An answer that the upstream was told not to keep has an id that leads nowhere: it must not stand for one that can be gone on from. */
function isInKey(policy: FieldPolicy, form: string): boolean {
  return policy.isInKey || (policy.role === "retention" && form === "false");
}

function isStateful(field: RequestField): boolean {
  return (field.role === "state" || field.role === "retention") && field.form !== "null" && field.form !== "false";
}

/** A string whose canonical form is its text between quotes, and short enough to be copied by `slice` (below 13 characters). */
const SHORT_PLAIN_STRING = /^"[\w./:@ -]{0,12}"$/;

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Reads a body under normalizers that have already run. */
export function readNormalized(endpoint: Endpoint, source: RequestSource, normalizers: readonly string[]): CanonicalRequest {
  checkEndpoint(endpoint);
  // Not `instanceof`: bytes may come from another realm, as a plain object may.
  const reader = types.isUint8Array(source) ? readBytes(source) : readParsed(source);
  const members = reader.readMembers();
  return new CanonicalRequest(endpoint, members, reader.isExact, source, normalizers);
}

/**
 * Reads a request body for its key. One pass over the bytes; the body itself is parsed only when `body` is asked for.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST when the body is not an object in valid JSON and UTF-8, has a name twice in one object,
 * is nested deeper than 256, has an object of more than 100,000 properties, or more than a million values: answer it with 400
 */
export function readRequest(endpoint: Endpoint, source: RequestSource): CanonicalRequest {
  return readNormalized(endpoint, source, []);
}
