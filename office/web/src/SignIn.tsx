import { type FormEvent, useRef, useState } from "react";
import { Icon } from "./parts/Icon.tsx";
import { Logo } from "./parts/Shell.tsx";
import { signIn } from "./state/api.ts";
import { signInWords } from "./view/problems.ts";
import type { Session } from "./wire.ts";

/** `over`: the session ran out while the desk was open. */
export function SignIn({ over, onSession }: { over: boolean; onSession: (session: Session) => void }) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const password = useRef<HTMLInputElement>(null);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (busy) return;
    const data = new FormData(event.currentTarget);
    setBusy(true);
    const answer = await signIn(String(data.get("email")), String(data.get("password")));
    setBusy(false);
    if (answer.ok) return onSession(answer.value);
    setError(signInWords(answer));
    password.current?.select();
  }

  return (
    <main className="signin" id="main">
      <form className="card pad stack gap4" onSubmit={submit}>
        <div className="row">
          <Logo />
          <h1>Sign in to Tonewall</h1>
        </div>
        {over && error === null && (
          <p className="note">
            <Icon name="info" />
            <span>
              You have been signed out. A call that is going on is not cut: sign in to see it again.
            </span>
          </p>
        )}
        <div role="alert">
          {error !== null && (
            <p className="note bad">
              <Icon name="alert" />
              <span>{error}</span>
            </p>
          )}
        </div>
        <div className="fieldset">
          <label htmlFor="email">E-mail</label>
          <input className="in" id="email" name="email" type="email" autoComplete="username" required />
        </div>
        <div className="fieldset">
          <label htmlFor="password">Password</label>
          <input
            className="in"
            id="password"
            name="password"
            type="password"
            autoComplete="current-password"
            required
            ref={password}
          />
        </div>
        <button type="submit" className="btn pri lg" aria-disabled={busy || undefined}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
