import { useState } from "react";
import { useAgreements } from "./hooks/useAgreements.ts";
import { useRecurring } from "./hooks/useRecurring.ts";
import { AgreementCard } from "./parts/AgreementCard.tsx";
import { Button } from "./parts/Button.tsx";
import { Icon } from "./parts/Icon.tsx";
import { Missed, Standing } from "./parts/Missed.tsx";
import { PageBar, Shell } from "./parts/Shell.tsx";
import { write } from "./view/money.ts";
import { cardName } from "./view/outcome.ts";
import { mayUse } from "./view/places.ts";
import { longDay, rhythm, STATES } from "./view/repeat.ts";
import type { AgreementView, Session } from "./wire.ts";

type Props = { session: Session; onSignedOut: () => void; onSignOut: () => void };

/** Agreements on further payments: who pays what when, and what may be changed of it. */
export function Repeats({ session, onSignedOut, onSignOut }: Props) {
  const all = useAgreements(onSignedOut);
  const recurring = useRecurring(all.failed);
  const may = session.user.rights?.some((right) => right === "store" || right === "finance") ?? false;
  return (
    <Shell user={session.user} at="/repeats">
      <PageBar title="Repeats" user={session.user} onSignOut={onSignOut} />
      <main className="main wide" id="main">
        {all.error !== null && (
          <p className="note" role="alert">
            <Icon name="alert" />
            <span>{all.error}</span>
          </p>
        )}
        <Standing recurring={recurring} may={mayUse(session.user, "finance")} />
        {all.detail === null ? (
          <>
            <Missed missed={recurring.view?.missed ?? []} onChoose={all.setChosen} />
            <List all={all} />
          </>
        ) : (
          <AgreementCard
            key={all.detail.id}
            agreement={all.detail}
            may={may}
            busy={all.busy}
            error={all.error}
            onChange={all.change}
            onFailed={all.failed}
            onBack={() => all.setChosen(null)}
          />
        )}
      </main>
    </Shell>
  );
}

function List({ all }: { all: ReturnType<typeof useAgreements> }) {
  const [typed, setTyped] = useState(all.account);
  const find = (text: string) => {
    setTyped(text);
    all.setAccount(text.trim());
  };
  return (
    <section className="card" aria-labelledby="repeats">
      <header>
        <h2 id="repeats">Payments that repeat</h2>
        <div className="row">
          <label htmlFor="repeat-account" className="sm nw">
            Account number
          </label>
          <input
            className="in mono"
            id="repeat-account"
            value={typed}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => find(event.target.value)}
          />
        </div>
      </header>
      {all.list === null || all.list.length === 0 ? (
        <p className="pad sm mut">{all.list === null ? "Looking…" : "None here."}</p>
      ) : (
        <Table agreements={all.list} onChoose={all.setChosen} />
      )}
      {all.more !== null && (
        <div className="pad">
          <Button onPress={() => void all.more?.()}>Show more</Button>
        </div>
      )}
    </section>
  );
}

type TableProps = { agreements: AgreementView[]; onChoose: (id: string) => void };

function Table({ agreements, onChoose }: TableProps) {
  return (
    <div className="tw">
      <table>
        <caption className="vh">Agreements, newest first</caption>
        <thead>
          <tr>
            <th>Account</th>
            <th>Card</th>
            <th>How often</th>
            <th>Next</th>
            <th className="num">Amount</th>
            <th>State</th>
            <th>
              <span className="vh">Open</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {agreements.map((agreement) => (
            <Row key={agreement.id} agreement={agreement} onChoose={onChoose} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ agreement, onChoose }: { agreement: AgreementView; onChoose: (id: string) => void }) {
  const state = STATES[agreement.state];
  const { next, terms } = agreement;
  return (
    <tr>
      <td className="mono">{agreement.account ?? "–"}</td>
      <td>{cardName(agreement.brand, agreement.last4)}</td>
      <td>{terms === null ? "–" : rhythm(terms)}</td>
      <td className="nw">{next === null ? "–" : longDay(next.due)}</td>
      <td className="num">{next === null ? "–" : write(next.amount)}</td>
      <td>
        <span className={`chip ${state?.tone ?? ""}`}>
          <Icon name={state?.icon ?? "info"} />
          {state?.words ?? agreement.state}
        </span>
      </td>
      <td>
        <Button look="s" onPress={() => onChoose(agreement.id)}>
          Calendar
          <span className="vh"> of {agreement.account ?? agreement.last4}</span>
        </Button>
      </td>
    </tr>
  );
}
