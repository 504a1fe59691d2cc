/** Which keys mean what. Matched by place (`event.code`), so that a layout that types letters with Alt does not matter. */

import type { Field } from "../wire.ts";

export type Shortcut =
  | { do: "secure" | "release" | "stop" | "repeat" | "take" | "other_card" | "read" | "help" }
  | { do: "ask"; index: number };

export type Pressed = {
  code: string;
  key: string;
  altKey: boolean;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  repeat: boolean;
};

const PLAIN: Record<string, Shortcut> = {
  KeyS: { do: "secure" },
  KeyL: { do: "release" },
  KeyR: { do: "repeat" },
  Enter: { do: "take" },
  NumpadEnter: { do: "take" },
  KeyN: { do: "other_card" },
  KeyW: { do: "read" },
  Digit1: { do: "ask", index: 0 },
  Digit2: { do: "ask", index: 1 },
  Digit3: { do: "ask", index: 2 },
};

/** `typing`: the focus is in a box that takes text. AltGr arrives as Ctrl and Alt, and types letters: not for us. */
export function shortcut(pressed: Pressed, typing: boolean): Shortcut | null {
  if (pressed.repeat || pressed.ctrlKey || pressed.metaKey) return null;
  if (!pressed.altKey) return pressed.key === "?" && !typing ? { do: "help" } : null;
  if (pressed.shiftKey) return pressed.code === "KeyL" ? { do: "stop" } : null;
  return PLAIN[pressed.code] ?? null;
}

export const FIELDS_IN_ORDER: readonly Field[] = ["pan", "expiry", "cvv"];

/** For the list of shortcuts. */
export const SHORTCUT_LIST: readonly { name: string; keys: readonly string[]; note: string }[] = [
  { name: "Secure the line", keys: ["Alt S"], note: "starts the payment too, once its amount is typed" },
  { name: "Release the line", keys: ["Alt L"], note: "asks first if that would lose what was keyed" },
  { name: "Stop and discard now", keys: ["Alt Shift L"], note: "erases everything keyed, no question" },
  { name: "Clear and ask again", keys: ["Alt R"], note: "the field being keyed" },
  { name: "Ask for one field", keys: ["Alt 1", "Alt 2", "Alt 3"], note: "any order" },
  { name: "Take payment", keys: ["Alt Enter"], note: "only when all are ticked" },
  { name: "Another card", keys: ["Alt N"], note: "after a decline" },
  { name: "Read the line state aloud", keys: ["Alt W"], note: "for screen readers" },
  { name: "This list", keys: ["?"], note: "not while typing" },
];
