import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ApiRouter } from "./api-router.ts";
import type { AllowedOrigins } from "./http/allowed-origins.ts";
import { HttpError } from "./http/http-error.ts";
import { NodeExchange } from "./http/node-exchange.ts";
import { sendError } from "./http/respond.ts";

/** What answers a request that is not the API's. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => void;

/** How the server is made. */
export interface GatewayServerOptions {
  readonly api: ApiRouter;
  /** Answers everything else: administration, health, metrics, dashboard. */
  readonly other: NodeListener;
  /** Connections at most; more are refused. Integer >= 1. @default 10000 */
  readonly maxConnections?: number;
  /** Milliseconds > 0 that a caller may take nothing of what waits for it; a long wait in one piece is given more. @default 120000 */
  readonly stallMs?: number;
  /** Milliseconds > 0 in which a body that is read whole must have come. @default 30000 */
  readonly bodyTimeoutMs?: number;
  /** Whose pages may use the API from a browser. @default nobody's */
  readonly origins?: AllowedOrigins;
}

/** Milliseconds in which the head of a request must have come. */
const HEADERS_TIMEOUT_MS = 15_000;
/** Milliseconds in which a request must have come whole: long enough for a large file that is passed on. */
const REQUEST_TIMEOUT_MS = 600_000;
/** Milliseconds that an idle connection is kept: longer than the 60 s of common load balancers, which must not meet a closing one. */
const KEEP_ALIVE_MS = 65_000;
/** Milliseconds between two looks for idle connections while draining. */
const SWEEP_MS = 100;
/** Bytes per second that a caller must take of a large piece: whether it moves within the piece cannot be seen. */
const SLOWEST_BYTES_PER_SECOND = 16 * 1024;
/** Looks at every connection within the time that a caller may stall. */
const LOOKS_PER_STALL = 4;
/** Headers of one request at most. */
const MAX_HEADERS = 100;

/**
 * The HTTP server: Node's own limits set (several are off by default), and a close that lets what is in flight end.
 *
 * A caller that closes its side of the connection counts as gone, as Node has it (`httpAllowHalfOpen` is false): TCP says the same of one that has left,
 * and calls that nobody waits for any more are to be freed. So whoever half-closes after asking gets hits, and of all else nothing.
 */
export class GatewayServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #stallMs: number;
  readonly #progress = new WeakMap<Socket, { readonly taken: number; readonly at: number }>();
  #isDraining = false;

  constructor(options: GatewayServerOptions) {
    const { api, other, maxConnections = 10_000, stallMs = 120_000, bodyTimeoutMs, origins } = options;
    this.#stallMs = stallMs;
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: HEADERS_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true },
      (request, response) => {
        if (this.#isDraining) response.shouldKeepAlive = false;
        // Node leaves out what is beyond its bound, and what is left out may be what the request is about.
        if (request.rawHeaders.length > MAX_HEADERS * 2) return refuse(request, response, 431, "The request has too many headers.");
        request.url = originFormOf(request.url);
        if (!ApiRouter.owns(request.url ?? "")) other(request, response);
        else if (!origins?.tell(request, response)) void api.handle(new NodeExchange(request, response, bodyTimeoutMs));
      },
    );
    this.#server.maxHeadersCount = MAX_HEADERS + 1;
    this.#server.maxConnections = maxConnections;
    this.#server.on("clientError", answerClientError);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** @returns the port listened on. @throws when the address cannot be had */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      // What comes later is one connection that could not be taken. Without a listener it would end the process.
      this.#server.on("error", reject);
      this.#server.listen(port, host, () => {
        const watch = setInterval(() => this.#endStalled(), this.#stallMs / LOOKS_PER_STALL).unref();
        this.#server.once("close", () => clearInterval(watch));
        const address = this.#server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  /** Goes on taking requests, and asks callers with each answer to open another connection next time: it may lead elsewhere. */
  prepareToClose(): void {
    this.#isDraining = true;
  }

  /** Takes no new work, waits for answers in flight, and breaks off what has not ended after `drainMs` milliseconds. */
  async close(drainMs: number): Promise<void> {
    this.#isDraining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#closeIdle();
    // A connection whose last answer was kept alive goes idle later: it is looked for again and again.
    const sweep = setInterval(() => this.#closeIdle(), SWEEP_MS);
    const breakOff = setTimeout(() => this.#server.closeAllConnections(), drainMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(breakOff);
  }

  /** A caller that does not read would keep its answer in memory for as long as it likes; no timeout of Node's is about that. */
  #endStalled(): void {
    const now = performance.now();
    for (const socket of this.#sockets) {
      const waiting = socket.writableLength;
      const taken = socket.bytesWritten - waiting;
      const last = this.#progress.get(socket);
      if (waiting === 0) this.#progress.delete(socket);
      else if (last?.taken !== taken) this.#progress.set(socket, { taken, at: now });
      else if (now - last.at > this.#stallMs + (waiting / SLOWEST_BYTES_PER_SECOND) * 1000) socket.destroy();
    }
  }

  /** Node does not count a connection as idle on which nothing has come yet: clients and load balancers open them ahead of need. */
  #closeIdle(): void {
    this.#server.closeIdleConnections();
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}

/** A target as it is written to a server: clients may write it as to a proxy, with the server's address (RFC 9112 3.2.2). */
function originFormOf(target = "/"): string {
  const path = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1];
  if (path === undefined) return target;
  return path.startsWith("/") ? path : `/${path}`;
}

/** What cannot be read as HTTP: an answer in JSON where there is still someone to answer, then the end. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  const phrase = { 400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large" }[status];
  const body = JSON.stringify({ error: { message: `${phrase}.`, type: "invalid_request_error", param: null, code: null } });
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Answers a request with an error outside the API. */
export function refuse(request: IncomingMessage, response: ServerResponse, status: number, message: string): void {
  sendError(new NodeExchange(request, response), new HttpError(status, message), "openai", []);
}
