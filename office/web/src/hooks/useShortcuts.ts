import { useEffect, useRef } from "react";
import { type Shortcut, shortcut } from "../view/shortcuts.ts";

const TYPED = "input:not([type=checkbox]), textarea, select, [contenteditable]";

/** Hands each shortcut on, unless they are switched off or a box is open. */
export function useShortcuts(on: boolean, act: (shortcut: Shortcut) => unknown): void {
  const latest = useRef(act);
  latest.current = act;

  useEffect(() => {
    if (!on) return;
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.matches(TYPED);
      const found = shortcut(event, typing);
      if (found === null) return;
      event.preventDefault();
      latest.current(found);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [on]);
}
