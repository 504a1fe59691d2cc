/** The pages, and who may open them. */

import type { Right, User } from "../wire.ts";

export type Place =
  | "/"
  | "/payments"
  | "/repeats"
  | "/reconciliation"
  | "/by-hand"
  | "/gateways"
  | "/api-keys";

/** `admins`: for nobody else. */
type Entry = { place: Place; icon: string; words: string; right?: Right; admins?: true };

const PLACES: readonly Entry[] = [
  { place: "/", icon: "phone", words: "Desk" },
  { place: "/payments", icon: "card", words: "Payments" },
  { place: "/repeats", icon: "redo", words: "Repeats" },
  { place: "/reconciliation", icon: "check", words: "Day end", right: "finance" },
  { place: "/by-hand", icon: "list", words: "By hand", right: "finance" },
  { place: "/gateways", icon: "lock", words: "Gateways", admins: true },
  { place: "/api-keys", icon: "key", words: "API keys", admins: true },
];

export const mayUse = (user: User, right: Right): boolean => user.rights?.includes(right) ?? false;

export const placesOf = (user: User): readonly Entry[] =>
  PLACES.filter(
    ({ right, admins }) =>
      (right === undefined || mayUse(user, right)) && (admins === undefined || user.role === "admin"),
  );

/** The desk, for any address that is no page of this user's. */
export function placeOf(path: string, user: User): Place {
  return placesOf(user).find(({ place }) => place === path)?.place ?? "/";
}
