import type { ReactNode } from "react";

type Props = {
  children: ReactNode;
  onPress: () => void;
  look?: string;
  /** As shown, such as `Alt L`. */
  keys?: string;
  /** Unavailable, but still reachable, so that the reason beside it can be found. */
  off?: boolean;
  busy?: boolean;
  describedBy?: string | undefined;
};

/** A button that stays focusable when it is off, and says so. */
export function Button({
  children,
  onPress,
  look = "",
  keys,
  off = false,
  busy = false,
  describedBy,
}: Props) {
  return (
    <button
      type="button"
      className={`btn ${look}`}
      aria-disabled={off || busy ? true : undefined}
      aria-busy={busy || undefined}
      aria-describedby={describedBy}
      aria-keyshortcuts={keys?.replaceAll(" ", "+")}
      onClick={() => {
        if (!off && !busy) onPress();
      }}
    >
      {busy && <span className="spin small" aria-hidden="true" />}
      {children}
      {keys && (
        <span aria-hidden="true">
          <kbd>{keys.replace("Enter", "⏎")}</kbd>
        </span>
      )}
    </button>
  );
}
