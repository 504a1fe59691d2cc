import { useState } from "react";

/** A choice that is kept on this machine. Where storage is barred it holds until the page is left. */
export function useSwitch(name: string, otherwise: boolean) {
  const [on, setOn] = useState(() => read(name) ?? otherwise);
  const set = (value: boolean) => {
    setOn(value);
    try {
      localStorage.setItem(name, String(value));
    } catch {
      // Nothing is lost but the memory of the choice.
    }
  };
  return { on, set };
}

function read(name: string): boolean | null {
  try {
    const kept = localStorage.getItem(name);
    return kept === null ? null : kept === "true";
  } catch {
    return null;
  }
}
