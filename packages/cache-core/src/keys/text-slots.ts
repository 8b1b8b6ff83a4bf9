import { type JsonObject, objectsOf } from "./normalizer.ts";
import type { Endpoint } from "./request-fields.ts";

/** A place of a request that holds text for the model. */
export interface TextSlot {
  readonly path: string;
  /** Whether it is an instruction of the application (system, developer) and not part of the conversation. */
  readonly isSystem: boolean;
  read(): string;
  write(text: string): void;
}

function slotOf(holder: JsonObject, name: string, path: string, isSystem: boolean): TextSlot[] {
  if (typeof holder[name] !== "string") return [];
  const write = (text: string): void => {
    holder[name] = text;
  };
  return [{ path, isSystem, read: () => holder[name] as string, write }];
}

/** A content: text, or a list of parts of which some have `text`. */
function slotsOfContent(holder: JsonObject, name: string, path: string, isSystem: boolean): TextSlot[] {
  const parts = objectsOf(holder[name]).flatMap(([index, part]) => slotOf(part, "text", `${path}[${index}].text`, isSystem));
  return [...slotOf(holder, name, path, isSystem), ...parts];
}

function slotsOfMessages(value: unknown, path: string): TextSlot[] {
  return objectsOf(value).flatMap(([index, message]) =>
    slotsOfContent(message, "content", `${path}[${index}].content`, message.role === "system" || message.role === "developer"),
  );
}

/** Where a request of this endpoint holds text for the model. */
export function textSlots(endpoint: Endpoint, body: JsonObject): TextSlot[] {
  switch (endpoint) {
    case "chat":
      return slotsOfMessages(body.messages, "messages");
    case "messages":
      return [...slotsOfContent(body, "system", "system", true), ...slotsOfMessages(body.messages, "messages")];
    case "responses":
      return [
        ...slotOf(body, "instructions", "instructions", true),
        ...slotOf(body, "input", "input", false),
        ...slotsOfMessages(body.input, "input"),
      ];
    case "completion":
    case "image":
      return slotOf(body, "prompt", "prompt", false);
    default:
      return []; // Embeddings of other text are other vectors.
  }
}
