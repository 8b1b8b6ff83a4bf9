/** Pieces that one text is told in at most: a replay should read as a stream, without a header of 200 bytes for every word of a long one. */
const MAX_PIECES = 64;
const MIN_PIECE = 12;

/** Cuts a text at word borders into pieces whose sum is the text. Never cuts a surrogate pair. Empty text: no piece. */
export function cutText(text: string): string[] {
  const size = Math.max(MIN_PIECE, Math.ceil(text.length / MAX_PIECES));
  const pieces: string[] = [];
  let start = 0;
  while (start < text.length) {
    let end = Math.min(text.length, start + size);
    if (end < text.length) {
      const space = text.indexOf(" ", end);
      if (space >= 0 && space - end < size) end = space;
      else if (isLowSurrogate(text.charCodeAt(end))) end += 1;
    }
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
