/** Which API's error shape a caller understands. */
export type ErrorShape = "openai" | "anthropic";

/** Details of an `HttpError` that not every one needs. */
export interface HttpErrorDetails {
  /** Stable name of the case, for programs. */
  readonly code?: string;
  /** The request field or header at fault. */
  readonly param?: string;
  /** Headers of the answer, lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is an error. Its message is for the caller: it never quotes what was sent, nor an upstream's own error text unscrubbed. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string | undefined;
  readonly param: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, details: HttpErrorDetails = {}) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.code = details.code;
    this.param = details.param;
    this.headers = details.headers ?? {};
  }
}

/** Whether a body comes in an encoding that would have to be undone before it can be read. */
export function isEncoded(contentEncoding: string | undefined): boolean {
  return contentEncoding !== undefined && contentEncoding.trim().toLowerCase() !== "identity" && contentEncoding.trim() !== "";
}

/** RFC 9110 15.5.16: the answer says which encodings would do. */
export function unsupportedEncoding(): HttpError {
  return new HttpError(415, "The request body is encoded: send it as it is, without content-encoding.", {
    code: "unsupported_encoding",
    param: "content-encoding",
    headers: { "accept-encoding": "identity" },
  });
}

/** Of a body whose sender has left, or that could not be read to its end. */
export function bodyBrokeOff(): HttpError {
  return new HttpError(400, "The request body broke off.");
}

const OPENAI_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  529: "overloaded_error",
};

/** The JSON body of an error in the shape that the caller's client reads. */
export function errorBody(error: HttpError, shape: ErrorShape, requestId: string): string {
  const { status, message, code = null, param = null } = error;
  if (shape === "anthropic") {
    const type = ANTHROPIC_TYPES[status] ?? (status >= 500 ? "api_error" : "invalid_request_error");
    return JSON.stringify({ type: "error", error: { type, message }, request_id: requestId });
  }
  const type = OPENAI_TYPES[status] ?? (status >= 500 ? "server_error" : "invalid_request_error");
  return JSON.stringify({ error: { message, type, param, code } });
}
