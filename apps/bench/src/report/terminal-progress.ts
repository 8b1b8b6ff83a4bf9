import type { Progress } from "../scenario.ts";
import { formatDuration } from "./format-value.ts";
import type { TerminalStyle } from "./terminal-style.ts";

/** Where progress goes: the terminal's error stream, so that tables can be piped. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_WIDTH = 20;
const REPAINT_MS = 100;
/** Below this share an estimate would jump about. */
const SMALLEST_SHARE = 0.02;

/** One line that is painted over on a terminal; elsewhere one line when a scenario starts and one when it ends. */
export class TerminalProgress implements Progress {
  readonly #stream: ProgressStream;
  readonly #style: TerminalStyle;
  #name = "";
  #startedAt = 0;
  #paintedAt = 0;
  #isPainted = false;

  constructor(stream: ProgressStream, style: TerminalStyle) {
    this.#stream = stream;
    this.#style = style;
  }

  /** A scenario begins. @param place for example `2/11` */
  begin(name: string, place: string): void {
    this.#name = `${place} ${name}`;
    this.#startedAt = performance.now();
    this.#paintedAt = 0;
    if (this.#stream.isTTY) this.update(0, "starting");
    else this.#stream.write(`${this.#name} …\n`);
  }

  /** The scenario is over. */
  end(outcome: string): void {
    this.#erase();
    const took = formatDuration(performance.now() - this.#startedAt);
    this.#stream.write(this.#style.dim(`${this.#name}: ${outcome} after ${took}`).concat("\n"));
  }

  update(done: number, label: string): void {
    const now = performance.now();
    if (!this.#stream.isTTY || now - this.#paintedAt < REPAINT_MS) return;
    this.#paintedAt = now;
    const share = Math.min(1, Math.max(0, done));
    const filled = Math.round(share * BAR_WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
    const elapsedMs = now - this.#startedAt;
    const left = share >= SMALLEST_SHARE ? `${formatDuration((elapsedMs / share) * (1 - share))} left` : formatDuration(elapsedMs);
    const line = `${this.#name} ${bar} ${String(Math.round(share * 100)).padStart(3)}% ${left}  ${label}`;
    this.#stream.write(`\r\u001b[2K${[...line].slice(0, (this.#stream.columns ?? 80) - 1).join("")}`);
    this.#isPainted = true;
  }

  log(line: string): void {
    this.#erase();
    this.#stream.write(`${line}\n`);
  }

  #erase(): void {
    if (this.#isPainted) this.#stream.write("\r\u001b[2K");
    this.#isPainted = false;
  }
}
