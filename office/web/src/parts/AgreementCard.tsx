import { useState } from "react";
import type { AgreementDeed, Answer } from "../state/api.ts";
import { write } from "../view/money.ts";
import { cardName } from "../view/outcome.ts";
import { isMissed, longDay, mayMove, maySkip, rhythm, rowLook, rowNote, STATES } from "../view/repeat.ts";
import type { AgreementDetail, CalendarRow } from "../wire.ts";
import { AmendBox, MoveBox } from "./AmendBox.tsx";
import { Box } from "./Box.tsx";
import { Button } from "./Button.tsx";
import { CustomerLink } from "./CustomerLink.tsx";
import { Icon } from "./Icon.tsx";

/** False: it was not done, and `error` says why. */
export type Change = (deed: AgreementDeed, body: unknown) => Promise<boolean>;
export type Failed = (answer: Extract<Answer<unknown>, { ok: false }>) => void;
type Props = {
  agreement: AgreementDetail;
  may: boolean;
  busy: boolean;
  error: string | null;
  onChange: Change;
  onFailed: Failed;
  onBack: () => void;
};

/** One agreement: what has been taken, what is to come, and what may be done about it. */
export function AgreementCard({ agreement, may, busy, error, onChange, onFailed, onBack }: Props) {
  const state = STATES[agreement.state];
  return (
    <>
      <div className="who">
        <h2>{agreement.account ?? "No account number"}</h2>
        <div className="facts">
          <span>{cardName(agreement.brand, agreement.last4)}</span>
          {agreement.terms !== null && <span>{rhythm(agreement.terms)}</span>}
          {agreement.contact !== null && <span>{agreement.contact}</span>}
          <span className={`chip ${state?.tone ?? ""}`}>
            <Icon name={state?.icon ?? "info"} />
            {state?.words ?? agreement.state}
          </span>
        </div>
      </div>
      <div className="row wrap">
        <Button look="s" onPress={onBack}>
          All repeats
        </Button>
        {may && <Deeds agreement={agreement} busy={busy} error={error} onChange={onChange} />}
      </div>
      <Calendar agreement={agreement} may={may} busy={busy} error={error} onChange={onChange} />
      {may && <CustomerLink id={agreement.id} busy={busy} onChange={onChange} onFailed={onFailed} />}
      <Messages agreement={agreement} />
    </>
  );
}

type DeedProps = Pick<Props, "agreement" | "busy" | "error" | "onChange">;

function Deeds({ agreement, busy, error, onChange }: DeedProps) {
  const [asks, setAsks] = useState<"cancel" | "resume" | "amend" | null>(null);
  const act = (deed: AgreementDeed, body: unknown) => {
    setAsks(null);
    void onChange(deed, body);
  };
  return (
    <>
      {(agreement.state === "active" || agreement.state === "paused") && (
        <Button look="s" busy={busy} onPress={() => setAsks("amend")}>
          Change terms
        </Button>
      )}
      {agreement.state === "active" && (
        <Button look="s" busy={busy} onPress={() => act("pause", {})}>
          Pause
        </Button>
      )}
      {agreement.state === "paused" && (
        <Button look="s" busy={busy} onPress={() => setAsks("resume")}>
          Go on
        </Button>
      )}
      {agreement.state !== "canceled" && (
        <Button look="s" busy={busy} onPress={() => setAsks("cancel")}>
          Stop for good
        </Button>
      )}
      {asks === "amend" && (
        <AmendBox {...{ agreement, busy, error, onChange }} onClose={() => setAsks(null)} />
      )}
      {asks === "cancel" && (
        <Box title="Stop these payments for good?" urgent onClose={() => setAsks(null)}>
          <p>Nothing more is taken. What the bank has been asked for already is followed to its end.</p>
          <div className="row wrap">
            <Button look="pri" onPress={() => setAsks(null)}>
              Keep them
            </Button>
            <Button look="danger" onPress={() => act("cancel", {})}>
              Stop payments
            </Button>
          </div>
        </Box>
      )}
      {asks === "resume" && (
        <Box title="What about the payments that were missed?" onClose={() => setAsks(null)}>
          <div className="row wrap">
            <Button onPress={() => act("resume", { catch_up: "skip" })}>Leave them out</Button>
            <Button onPress={() => act("resume", { catch_up: "collect" })}>Take them now</Button>
            <Button onPress={() => act("resume", { catch_up: "shift" })}>Move all that is left</Button>
          </div>
        </Box>
      )}
    </>
  );
}

function Calendar({ agreement, may, busy, error, onChange }: DeedProps & Pick<Props, "may">) {
  const { first } = agreement;
  const [moving, setMoving] = useState<CalendarRow | null>(null);
  return (
    <section className="card" aria-labelledby="calendar">
      <header>
        <h2 id="calendar">Calendar</h2>
        <span className="sm mut">Days are those of {agreement.time_zone}</span>
      </header>
      <div className="tw">
        <table>
          <caption className="vh">Payments, oldest first</caption>
          <thead>
            <tr>
              <th className="num">No.</th>
              <th>Day</th>
              <th className="num">Amount</th>
              <th>State</th>
              <th>
                <span className="vh">Change</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {first !== null && (
              <tr>
                <td className="num">–</td>
                <td className="nw">{longDay(first.created_at.slice(0, 10))}</td>
                <td className="num">{write(first.amount)}</td>
                <td>On the call</td>
                <td />
              </tr>
            )}
            {agreement.calendar.map((row) => (
              <Row
                key={row.number}
                {...{ row, may, changes: may && agreement.state !== "canceled", busy, onChange }}
                onMove={() => setMoving(row)}
              />
            ))}
          </tbody>
        </table>
      </div>
      {agreement.more && <p className="pad sm mut">And so on, until it is stopped.</p>}
      {moving !== null && (
        <MoveBox
          key={moving.number}
          row={moving}
          {...{ busy, error, onChange }}
          onClose={() => setMoving(null)}
        />
      )}
    </section>
  );
}

type RowProps = {
  row: CalendarRow;
  may: boolean;
  changes: boolean;
  busy: boolean;
  onChange: Change;
  onMove: () => void;
};

function Row({ row, may, changes, busy, onChange, onMove }: RowProps) {
  const number = <span className="vh"> number {row.number}</span>;
  const { tone, icon, words } = rowLook(row);
  const note = rowNote(row);
  return (
    <tr data-row={row.state}>
      <td className="num">{row.number}</td>
      <td className="nw">{longDay(row.due)}</td>
      <td className="num">{write(row.amount)}</td>
      <td>
        <span className={`chip ${tone}`}>
          <Icon name={icon} />
          {words}
        </span>
        {note !== "" && <span className="sm mut"> {note}</span>}
      </td>
      <td>
        <div className="row wrap">
          {changes && mayMove(row) && (
            <Button look="s" busy={busy} onPress={onMove}>
              Change{number}
            </Button>
          )}
          {changes && maySkip(row) && (
            <Button look="s" busy={busy} onPress={() => void onChange("skip", { number: row.number })}>
              Leave out{number}
            </Button>
          )}
          {changes && isMissed(row) && (
            <Button look="s" busy={busy} onPress={() => void onChange("take", { number: row.number })}>
              Take now{number}
            </Button>
          )}
          {may && isMissed(row) && (
            <Button look="s" busy={busy} onPress={() => void onChange("leave", { number: row.number })}>
              Leave out{number}
            </Button>
          )}
        </div>
      </td>
    </tr>
  );
}

/** What the customer was told. */
function Messages({ agreement }: { agreement: AgreementDetail }) {
  if (agreement.messages.length === 0) return null;
  return (
    <section className="card" aria-labelledby="messages">
      <header>
        <h2 id="messages">What the customer is told</h2>
      </header>
      <ul className="pad stack">
        {agreement.messages.toReversed().map((message) => (
          <li key={message.id}>
            <details>
              <summary>
                {longDay(message.created_at.slice(0, 10))}: {message.subject}{" "}
                <span className="sm mut">{message.taken_at === null ? "not sent yet" : "sent"}</span>
              </summary>
              <p className="pre sm">{message.text}</p>
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}
