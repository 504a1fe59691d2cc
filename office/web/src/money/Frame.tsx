import type { ReactNode } from "react";
import { Button } from "../parts/Button.tsx";
import { Icon } from "../parts/Icon.tsx";
import { Shell } from "../parts/Shell.tsx";
import type { Place } from "../view/places.ts";
import type { Session } from "../wire.ts";

export type PageProps = { session: Session; onSignedOut: () => void; onSignOut: () => void };

type Props = PageProps & { at: Place; title: string; children: ReactNode };

/** A page beside the desk. */
export function Frame({ session, onSignOut, at, title, children }: Props) {
  return (
    <Shell user={session.user} at={at}>
      <header className="topbar">
        <h1>{title}</h1>
        <span className="grow" />
        <span className="sm mut">{session.user.name}</span>
        <Button look="quiet s" onPress={onSignOut}>
          Sign out
        </Button>
      </header>
      <main className="page" id="main">
        {children}
      </main>
    </Shell>
  );
}

export function Chip({ tone, icon, words }: { tone: string; icon: string; words: string }) {
  return (
    <span className={`chip ${tone}`}>
      <Icon name={icon} />
      {words}
    </span>
  );
}

export type Told = { tone: "ok" | "bad" | "warn"; words: string } | null;

/** What came of a press. It is always there, so that screen readers hear it change. */
export function Note({ told }: { told: Told }) {
  return (
    <div role="status">
      {told && (
        <p className={`note ${told.tone}`}>
          <Icon name={told.tone === "ok" ? "check" : "alert"} />
          <span>{told.words}</span>
        </p>
      )}
    </div>
  );
}

/** A table that may be wider than the page: it scrolls, also by keys. */
export function Scroller({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without it nobody scrolls it by keys.
    <section className="tw" tabIndex={0} aria-label={`${label}, table`}>
      {children}
    </section>
  );
}
