import { useCallback, useEffect, useState } from "react";
import { Desk } from "./Desk.tsx";
import { SignIn } from "./SignIn.tsx";
import { signedIn, signOut } from "./state/api.ts";
import type { Session } from "./wire.ts";

type Where = { at: "unknown" } | { at: "out"; over: boolean } | { at: "in"; session: Session };

export function App() {
  const [where, setWhere] = useState<Where>({ at: "unknown" });

  useEffect(() => {
    signedIn().then((answer) =>
      setWhere(answer.ok ? { at: "in", session: answer.value } : { at: "out", over: false }),
    );
  }, []);

  const over = useCallback(() => setWhere({ at: "out", over: true }), []);
  const leave = useCallback(() => {
    signOut().then(() => setWhere({ at: "out", over: false }));
  }, []);

  switch (where.at) {
    case "unknown":
      return <p className="loading">Loading the desk…</p>;
    case "out":
      return <SignIn over={where.over} onSession={(session) => setWhere({ at: "in", session })} />;
    case "in":
      return <Desk session={where.session} onSignedOut={over} onSignOut={leave} />;
  }
}
