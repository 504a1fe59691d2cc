import type { ReactNode } from "react";
import type { CallView, User } from "../wire.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";

export function Logo() {
  return (
    <svg width="30" height="30" viewBox="0 0 30 30" role="img" aria-label="Tonewall">
      <g fill="none" stroke="currentColor" strokeWidth="2.4" strokeLinecap="round">
        <path d="M3 13v4M7 9.5v11M11 6v18" />
        <path d="M20 15h7" />
      </g>
      <rect className="logo-wall" x="14" y="3" width="3" height="24" rx="1" />
    </svg>
  );
}

/** The frame of every page. Only the desk exists so far, and what does not exist leaves no gap. */
export function Shell({ children }: { children: ReactNode }) {
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <div className="app">
        <nav className="rail" aria-label="Main">
          <a className="logo" href="/">
            <Logo />
          </a>
          <ul>
            <li>
              <a className="nav" href="/" aria-current="page">
                <Icon name="phone" />
                Desk
              </a>
            </li>
          </ul>
        </nav>
        <div className="desk">{children}</div>
      </div>
    </>
  );
}

export type ChipState = "live" | "connecting" | "lost" | "stale" | "door";

const CHIPS: Record<ChipState, { tone: string; icon: string; words: string }> = {
  live: { tone: "ok", icon: "pulse", words: "Live" },
  connecting: { tone: "", icon: "clock", words: "Connecting" },
  lost: { tone: "warn", icon: "alert", words: "Reconnecting" },
  stale: { tone: "warn", icon: "alert", words: "No proof" },
  door: { tone: "warn", icon: "alert", words: "Payments down" },
};

type TopProps = {
  user: User;
  chip: ChipState;
  call: CallView | null;
  onHelp: () => void;
  onSignOut: () => void;
};

export function TopBar({ user, chip, call, onHelp, onSignOut }: TopProps) {
  const { tone, icon, words } = CHIPS[chip];
  return (
    <header className="dtop">
      <h1>Desk</h1>
      <div className="me">
        <span className={`chip ${tone}`}>
          <Icon name={icon} />
          {words}
        </span>
        <span className="chip hide">{callWords(call)}</span>
        <Button look="quiet s" keys="?" onPress={onHelp}>
          <Icon name="keypad" /> Shortcuts
        </Button>
        <span className="sm mut hide">{user.name}</span>
        <Button look="quiet s" onPress={onSignOut}>
          Sign out
        </Button>
      </div>
    </header>
  );
}

function callWords(call: CallView | null): string {
  if (call === null) return "Ready";
  return call.state === "ringing" ? "Ringing" : "On call";
}
