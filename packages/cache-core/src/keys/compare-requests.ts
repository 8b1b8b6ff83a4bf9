import { fromByteText } from "./byte-text.ts";
import type { CanonicalRequest, RequestField } from "./canonical-request.ts";
import { isObject } from "./normalizer.ts";

/** Places named at most: the first ones say why a request missed. */
const MAX_DIFFERENCES = 20;

/** One place in which two requests differ. */
export interface RequestDifference {
  /** The top-level field. */
  readonly field: string;
  /** The place, as a path like `messages[2].content`. */
  readonly path: string;
  /** Whether one of the two lacks it, or they say different things. */
  readonly kind: "only-in-first" | "only-in-second" | "different";
  /** Whether the difference makes another key. */
  readonly isInKey: boolean;
}

/** How two requests relate. */
export interface RequestComparison {
  /** Whether they have the same fields in the key, endpoint and normalizers included: in one scope and route they share an entry. */
  readonly isSame: boolean;
  /** Where they differ, at most 20 places; those that make no difference to the key included and marked. */
  readonly differences: readonly RequestDifference[];
}

type Report = (path: string, kind: RequestDifference["kind"]) => void;

function compareLists(first: readonly unknown[], second: readonly unknown[], path: string, report: Report): void {
  for (let index = 0; index < Math.max(first.length, second.length); index += 1)
    comparePlaces(first[index], second[index], `${path}[${index}]`, report);
}

function compareObjects(first: Record<string, unknown>, second: Record<string, unknown>, path: string, report: Report): void {
  const own = (object: Record<string, unknown>, name: string): unknown => (Object.hasOwn(object, name) ? object[name] : undefined);
  for (const name of new Set([...Object.keys(first), ...Object.keys(second)]))
    comparePlaces(own(first, name), own(second, name), `${path}.${name}`, report);
}

/** `undefined` is an absent place: JSON has no such value. */
function comparePlaces(first: unknown, second: unknown, path: string, report: Report): void {
  if (second === undefined) report(path, "only-in-first");
  else if (first === undefined) report(path, "only-in-second");
  else if (Array.isArray(first) && Array.isArray(second)) compareLists(first, second, path, report);
  else if (isObject(first) && isObject(second)) compareObjects(first, second, path, report);
  else if (!Object.is(first, second)) report(path, "different");
}

function compareFields(name: string, first: RequestField | undefined, second: RequestField | undefined): RequestDifference[] {
  if (first?.form === second?.form) return [];
  const isInKey = first?.isInKey === true || second?.isInKey === true;
  const found: RequestDifference[] = [];
  const value = (field: RequestField | undefined): unknown => (field === undefined ? undefined : JSON.parse(fromByteText(field.form)));
  comparePlaces(value(first), value(second), name, (path, kind) => found.push({ field: name, path, kind, isInKey }));
  // Numbers that differ past double precision are equal once parsed.
  return found.length > 0 ? found : [{ field: name, path: name, kind: "different", isInKey }];
}

/** Tells in which fields two requests differ, and which of the differences make another key. Values are not repeated. */
export function compareRequests(first: CanonicalRequest, second: CanonicalRequest): RequestComparison {
  const fields = (request: CanonicalRequest): Map<string, RequestField> => new Map(request.fields.map((field) => [field.name, field]));
  const a = fields(first);
  const b = fields(second);
  const names = [...new Set([...a.keys(), ...b.keys()])].sort();
  const differences = names.flatMap((name) => compareFields(name, a.get(name), b.get(name)));
  const sameNormalizers = first.normalizers.join("\n") === second.normalizers.join("\n");
  return {
    isSame: first.endpoint === second.endpoint && sameNormalizers && first.keyForm() === second.keyForm(),
    differences: [...differences].sort((x, y) => Number(y.isInKey) - Number(x.isInKey)).slice(0, MAX_DIFFERENCES),
  };
}
