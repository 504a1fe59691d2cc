export type IconName =
  | "lock"
  | "key"
  | "unlock"
  | "check"
  | "x"
  | "alert"
  | "info"
  | "clock"
  | "phone"
  | "card"
  | "pulse"
  | "wall"
  | "user"
  | "redo"
  | "keypad"
  | "eyeoff"
  | "list";

/** Decoration beside words, so it is hidden from screen readers. */
export function Icon({ name }: { name: IconName | string }) {
  return <i className={`i i-${name}`} aria-hidden="true" />;
}
