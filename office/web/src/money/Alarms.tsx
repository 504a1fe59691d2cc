import { useState } from "react";
import { Button } from "../parts/Button.tsx";
import { Icon } from "../parts/Icon.tsx";
import { seen } from "./api.ts";
import type { Deed } from "./Payment.tsx";
import type { Alarm, PaidDetail } from "./types.ts";
import { alarmWords, timeOf } from "./words.ts";

type Props = { payment: PaidDetail; finance: boolean; busy: boolean; deed: Deed };

/** What people must look at, and what they found when they did. */
export function Alarms({ payment, finance, busy, deed }: Props) {
  if (payment.alarms.length === 0) return null;
  return (
    <div className="sect">
      <h2>Alarms</h2>
      {payment.alarms.map((alarm) =>
        alarm.seen_at === null ? (
          <Open key={alarm.id} {...{ payment, alarm, finance, busy, deed }} />
        ) : (
          <p key={alarm.id} className="note">
            <Icon name="check" />
            <span>
              {alarmWords(alarm.alarm)}
              <small className="mut">
                {alarm.seen_by} looked at it, {timeOf(alarm.seen_at)}.{alarm.note && ` ${alarm.note}`}
              </small>
            </span>
          </p>
        ),
      )}
    </div>
  );
}

function Open({ payment, alarm, finance, busy, deed }: Props & { alarm: Alarm }) {
  const [note, setNote] = useState("");
  const press = () =>
    deed(
      `seen ${alarm.id}`,
      (key) => seen(payment.id, alarm.id, note.trim(), key),
      () => "Noted: you have looked at it.",
    );
  const id = `note-${alarm.id}`;
  return (
    <div className="note bad">
      <Icon name="alert" />
      <div className="grow stack gap2">
        <span>
          {alarmWords(alarm.alarm)}
          <small className="mut">{timeOf(alarm.at)}</small>
        </span>
        {finance && (
          <div className="fieldset">
            <label htmlFor={id}>What you found (optional)</label>
            <input
              className="in"
              id={id}
              value={note}
              maxLength={500}
              onChange={(event) => setNote(event.target.value)}
              autoComplete="off"
            />
            <div>
              <Button look="s" busy={busy} onPress={() => void press()}>
                I have looked at it
              </Button>
            </div>
          </div>
        )}
      </div>
    </div>
  );
}
