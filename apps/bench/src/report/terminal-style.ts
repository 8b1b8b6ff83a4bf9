import { styleText } from "node:util";

/** Paints text, or leaves it as it is where nobody would see the colour. */
export interface TerminalStyle {
  /** Columns that a line may have. */
  readonly width: number;
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  ours(text: string): string;
}

/** Width where the output is no terminal: a file or a log, which scroll sideways. */
const UNKNOWN_WIDTH = 160;

/** Colours for a terminal that wants them; plain text for a pipe, a file, `NO_COLOR` or a dumb terminal. */
export function createTerminalStyle(stream: { readonly isTTY?: boolean; readonly columns?: number }): TerminalStyle {
  const { NO_COLOR, TERM } = process.env;
  const hasColour = stream.isTTY === true && !NO_COLOR && TERM !== "dumb";
  const paint = (format: Parameters<typeof styleText>[0]) => (text: string) => (hasColour ? styleText(format, text) : text);
  return {
    width: stream.isTTY ? Math.max(60, stream.columns ?? 80) : UNKNOWN_WIDTH,
    bold: paint("bold"),
    dim: paint("dim"),
    good: paint("green"),
    bad: paint("red"),
    ours: paint("cyan"),
  };
}
