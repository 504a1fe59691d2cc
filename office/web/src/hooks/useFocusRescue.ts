import { useEffect, useRef } from "react";

/** The heading of whatever is on the screen now. */
export const PANEL_HEADING = "panel-heading";

/** Focus stays where it is, unless what had it has gone: then it moves to the heading of the new state. */
export function useFocusRescue(): void {
  const last = useRef<Element | null>(null);

  useEffect(() => {
    const note = (event: FocusEvent) => {
      if (event.target instanceof Element) last.current = event.target;
    };
    document.addEventListener("focusin", note);
    return () => document.removeEventListener("focusin", note);
  }, []);

  // On every render, since any of them may take the focused control away.
  useEffect(() => {
    if (last.current === null || last.current.isConnected) return;
    if (document.activeElement !== document.body) return;
    last.current = null;
    document.getElementById(PANEL_HEADING)?.focus({ preventScroll: true });
  });
}
