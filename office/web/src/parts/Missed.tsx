import type { useRecurring } from "../hooks/useRecurring.ts";
import { write } from "../view/money.ts";
import { longDay, rowNote } from "../view/repeat.ts";
import type { MissedView, RecurringView } from "../wire.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";

type Held = NonNullable<RecurringView["held"]>;

const WHY: Record<Held["why"], string> = {
  jumped: "The clock of the server has jumped ahead.",
  back: "The clock of the server has gone back.",
  away: "The server was off for long, or its clock is wrong.",
  restored:
    "The server was restored from a backup: what was agreed on, changed or canceled since is not in it. Put that right first.",
};

const moment = (at: string) => `${longDay(at.slice(0, 10))}, ${at.slice(11, 16)} UTC`;

/** What stops all of them: said above everything else. */
export function Standing({ recurring, may }: { recurring: ReturnType<typeof useRecurring>; may: boolean }) {
  const { view, busy, sayRight } = recurring;
  if (view === null) return null;
  return (
    <>
      {!view.enabled && (
        <p className="note warn">
          <Icon name="alert" />
          <span>Payments that repeat are switched off on this server: none is taken.</span>
        </p>
      )}
      {view.held !== null && (
        <div className="note bad" role="alert">
          <Icon name="alert" />
          <div className="stack">
            <p>
              <b>No payment is taken.</b> {WHY[view.held.why]}
              {view.held.why !== "restored" &&
                ` It was last right at ${moment(view.held.last_right_at)}; now it says ${moment(view.held.now)}.`}
            </p>
            {may ? (
              <div className="row wrap">
                <Button look="s" busy={busy} onPress={() => void sayRight()}>
                  {view.held.why === "restored" ? "It is put right: go on" : "That time is right: go on"}
                </Button>
              </div>
            ) : (
              <p>Ask your administrator to look at it.</p>
            )}
          </div>
        </div>
      )}
    </>
  );
}

type MissedProps = { missed: MissedView[]; onChoose: (id: string) => void };

/** What was not taken in its time: somebody takes it by hand, or leaves it out. */
export function Missed({ missed, onChoose }: MissedProps) {
  if (missed.length === 0) return null;
  return (
    <section className="card" aria-labelledby="missed">
      <header>
        <h2 id="missed">Not taken in their time</h2>
        <span className="sm mut">Ask the customer, then take each or leave it out.</span>
      </header>
      <div className="tw">
        <table>
          <caption className="vh">Payments that wait for somebody to decide, oldest first</caption>
          <thead>
            <tr>
              <th>Account</th>
              <th>Day</th>
              <th className="num">Amount</th>
              <th>Why</th>
              <th>
                <span className="vh">Open</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {missed.map(({ agreement, account, payment }) => (
              <tr key={`${agreement} ${payment.number}`} data-missed={payment.number}>
                <td className="mono">{account ?? "–"}</td>
                <td className="nw">{longDay(payment.due)}</td>
                <td className="num">{write(payment.amount)}</td>
                <td>{rowNote(payment)}</td>
                <td>
                  <Button look="s" onPress={() => onChoose(agreement)}>
                    Decide
                    <span className="vh">
                      {" "}
                      about number {payment.number} of {account ?? "this customer"}
                    </span>
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
