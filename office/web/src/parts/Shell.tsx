import type { ReactNode } from "react";
import { type Place, placesOf } from "../view/places.ts";
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

type ShellProps = { user: User; at?: Place; children: ReactNode };

/** The frame of every page. What somebody may not open leaves no gap. */
export function Shell({ user, at = "/", children }: ShellProps) {
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
            {placesOf(user).map(({ place, icon, words }) => (
              <li key={place}>
                <a className="nav" href={place} aria-current={place === at ? "page" : undefined}>
                  <Icon name={icon} />
                  {words}
                </a>
              </li>
            ))}
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

type PageBarProps = { title: string; user: User; onSignOut: () => void };

/** The head of a page that shows no call. */
export function PageBar({ title, user, onSignOut }: PageBarProps) {
  return (
    <header className="dtop">
      <h1>{title}</h1>
      <div className="me">
        <span className="sm mut hide">{user.name}</span>
        <Button look="quiet s" onPress={onSignOut}>
          Sign out
        </Button>
      </div>
    </header>
  );
}
