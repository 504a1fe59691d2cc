import { useCallback, useEffect, useState } from "react";
import { Desk } from "./Desk.tsx";
import { Gateways } from "./gateways/Gateways.tsx";
import { ApiKeys } from "./keys/ApiKeys.tsx";
import { ByHand } from "./money/ByHand.tsx";
import { DayEnd } from "./money/DayEnd.tsx";
import type { PageProps } from "./money/Frame.tsx";
import { Payments } from "./money/Payments.tsx";
import { Repeats } from "./Repeats.tsx";
import { SignIn } from "./SignIn.tsx";
import { signedIn, signOut } from "./state/api.ts";
import { placeOf } from "./view/places.ts";
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
      return <Page session={where.session} onSignedOut={over} onSignOut={leave} />;
  }
}

/** What the address says; who may not open it is on the desk. */
function Page(props: PageProps) {
  switch (placeOf(location.pathname, props.session.user)) {
    case "/payments":
      return <Payments {...props} />;
    case "/reconciliation":
      return <DayEnd {...props} />;
    case "/by-hand":
      return <ByHand {...props} />;
    case "/gateways":
      return <Gateways {...props} />;
    case "/api-keys":
      return <ApiKeys {...props} />;
    case "/repeats":
      return <Repeats {...props} />;
    default:
      return <Desk {...props} />;
  }
}
