import { useCallback, useEffect, useState } from "react";
import { Desk } from "./Desk.tsx";
import { SignIn } from "./SignIn.tsx";
import { signedIn, signOut } from "./state/api.ts";
import type { User } from "./wire.ts";

type Session = { at: "unknown" } | { at: "out"; over: boolean } | { at: "in"; user: User };

export function App() {
  const [session, setSession] = useState<Session>({ at: "unknown" });

  useEffect(() => {
    signedIn().then((answer) =>
      setSession(answer.ok ? { at: "in", user: answer.value.user } : { at: "out", over: false }),
    );
  }, []);

  const over = useCallback(() => setSession({ at: "out", over: true }), []);
  const leave = useCallback(() => {
    signOut().then(() => setSession({ at: "out", over: false }));
  }, []);

  switch (session.at) {
    case "unknown":
      return <p className="loading">Loading the desk…</p>;
    case "out":
      return <SignIn over={session.over} onUser={(user) => setSession({ at: "in", user })} />;
    case "in":
      return <Desk user={session.user} onSignedOut={over} onSignOut={leave} />;
  }
}
