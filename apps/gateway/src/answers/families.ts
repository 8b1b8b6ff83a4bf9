import { chatFamily } from "./chat.ts";
import { completionFamily } from "./completion.ts";
import type { AnswerFamily } from "./family.ts";
import { imageFamily } from "./image.ts";
import { messagesFamily } from "./messages.ts";
import { responsesFamily } from "./responses.ts";

/** All kinds of answers that are JSON, by the first part of their cache keys. */
export const answerFamilies: ReadonlyMap<string, AnswerFamily> = new Map(
  [chatFamily, completionFamily, imageFamily, messagesFamily, responsesFamily].map((family) => [family.kind, family]),
);
