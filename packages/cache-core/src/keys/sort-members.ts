import { invalidRequest } from "./invalid-request.ts";

/** One property of an object. */
export interface Member {
  /** The name as UTF-16 text: what it is sorted by and compared with. */
  readonly name: string;
  /** The value in canonical form (byte text). */
  readonly form: string;
  /** Name, colon and value in canonical form (byte text). */
  readonly text: string;
}

/** Lists up to this length are sorted by insertion: nothing is allocated, and nearly sorted objects cost one pass. */
const INSERTION_LIMIT = 24;

function refuseTwice(): never {
  // Parsers differ on which of the two counts: the key would stand for one reading, the upstream might take the other.
  throw invalidRequest("a property name occurs twice in one object");
}

function insertionSort(members: Member[]): void {
  for (let index = 1; index < members.length; index += 1) {
    const member = members[index] as Member;
    let slot = index;
    while (slot > 0 && (members[slot - 1] as Member).name > member.name) {
      members[slot] = members[slot - 1] as Member;
      slot -= 1;
    }
    if (slot > 0 && (members[slot - 1] as Member).name === member.name) refuseTwice();
    members[slot] = member;
  }
}

/**
 * Sorts members by name, in order of UTF-16 units as RFC 8785 asks.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST when a name occurs twice
 */
export function sortMembers(members: Member[]): void {
  if (members.length <= INSERTION_LIMIT) insertionSort(members);
  else members.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : refuseTwice()));
}
