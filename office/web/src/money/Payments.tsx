import { useCallback, useEffect, useState } from "react";
import { Button } from "../parts/Button.tsx";
import { write } from "../view/money.ts";
import { cardWords } from "../view/outcome.ts";
import { mayUse } from "../view/places.ts";
import { payments as ask, type Scope } from "./api.ts";
import { Chip, Frame, Note, type PageProps, Scroller } from "./Frame.tsx";
import { Payment } from "./Payment.tsx";
import type { Paid } from "./types.ts";
import { useDeed } from "./useDeed.ts";
import { chipOf, timeOf } from "./words.ts";

const SCOPES: readonly { scope: Scope; words: string }[] = [
  { scope: "mine", words: "Mine" },
  { scope: "all", words: "Everybody’s" },
  { scope: "waiting", words: "Waiting for people" },
];

/** The address names the payment that is open, so that another page can point at it. */
const named = () => location.hash.slice(1) || null;

export function Payments(props: PageProps) {
  const { user } = props.session;
  const finance = mayUse(user, "finance");
  const [scope, setScope] = useState<Scope>(finance ? "all" : "mine");
  const [rows, setRows] = useState<Paid[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [open, setOpen] = useState<string | null>(named);
  const { told, fail } = useDeed(props.onSignedOut);

  const load = useCallback(
    async (cursor: string | null) => {
      const answer = await ask(scope, cursor);
      if (!answer.ok) return fail(answer);
      setRows((before) =>
        cursor === null ? answer.value.payments : [...(before ?? []), ...answer.value.payments],
      );
      setNext(answer.value.next_cursor ?? null);
    },
    [scope, fail],
  );
  useEffect(() => {
    void load(null);
  }, [load]);
  useEffect(() => {
    const moved = () => setOpen(named());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);

  return (
    <Frame {...props} at="/payments" title="Payments">
      <Note told={told} />
      <div className="two">
        <section className="card" aria-labelledby="list">
          <header>
            <h2 id="list">{SCOPES.find((one) => one.scope === scope)?.words}</h2>
            {finance && <Scopes scope={scope} onScope={setScope} />}
          </header>
          <List rows={rows} open={open} waiting={scope === "waiting"} />
          {next !== null && (
            <div className="pad">
              <Button look="s" onPress={() => void load(next)}>
                Older payments
              </Button>
            </div>
          )}
        </section>
        {open !== null && (
          <Payment
            key={open}
            id={open}
            user={user}
            onSignedOut={props.onSignedOut}
            onChange={() => void load(null)}
          />
        )}
      </div>
    </Frame>
  );
}

type ScopesProps = { scope: Scope; onScope: (scope: Scope) => void };

function Scopes({ scope, onScope }: ScopesProps) {
  return (
    <fieldset className="seg">
      <legend className="vh">Whose payments</legend>
      {SCOPES.map((one) => (
        <button
          key={one.scope}
          type="button"
          aria-pressed={scope === one.scope}
          onClick={() => onScope(one.scope)}
        >
          {one.words}
        </button>
      ))}
    </fieldset>
  );
}

type ListProps = { rows: Paid[] | null; open: string | null; waiting: boolean };

function List({ rows, open, waiting }: ListProps) {
  if (rows === null) return <p className="pad sm mut">Looking…</p>;
  if (rows.length === 0) {
    return <p className="pad sm mut">{waiting ? "Nothing waits for people." : "No payments yet."}</p>;
  }
  return (
    <Scroller label="Payments">
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Account</th>
            <th scope="col">Card</th>
            <th scope="col">Result</th>
            <th scope="col" className="num">
              Amount
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id} className={row.id === open ? "lk sel" : "lk"}>
              <td className="nw">
                <a href={`#${row.id}`} aria-current={row.id === open || undefined}>
                  {timeOf(row.created_at)}
                </a>
              </td>
              <td className="mono">{row.account ?? row.reference ?? "–"}</td>
              <td className="nw">{cardWords(row) ?? "–"}</td>
              <td className="nw">
                <Chip {...chipOf(row)} />
              </td>
              <td className="num">{write(row.amount)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}
