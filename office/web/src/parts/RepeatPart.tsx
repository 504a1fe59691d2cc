import type { ReactNode } from "react";
import type { Preview } from "../hooks/usePreview.ts";
import { previewWords, type RepeatDraft, type RepeatField, UNITS } from "../view/repeat.ts";
import type { Unit } from "../wire.ts";
import { Icon } from "./Icon.tsx";
import { Say } from "./Say.tsx";

type Props = {
  draft: RepeatDraft | null;
  wrong: { field: RepeatField; error: string } | null;
  preview: Preview;
  onSwitch: (on: boolean) => void;
  onChange: (draft: RepeatDraft) => void;
};

/** The id of a box, so that a wrong one can be focused. */
export const repeatId = (field: RepeatField): string => `repeat-${field}`;

/** Further payments from the same card: agreed on before the first one is taken. */
export function RepeatPart({ draft, wrong, preview, onSwitch, onChange }: Props) {
  return (
    <div className="stack">
      <label className="ck">
        <input
          type="checkbox"
          checked={draft !== null}
          onChange={(event) => onSwitch(event.target.checked)}
        />
        Repeat this payment from the same card
      </label>
      {draft !== null && (
        <fieldset className="stack repeat">
          <legend className="vh">Payments after this one</legend>
          <RepeatBoxes draft={draft} wrong={wrong} onChange={onChange} />
          <PreviewSay preview={preview} />
        </fieldset>
      )}
    </div>
  );
}

type BoxesProps = Pick<Props, "wrong" | "onChange"> & {
  draft: RepeatDraft;
  /** Other terms of an agreement: there is no payment beside them, and their customer is known. */
  alone?: boolean;
};

/** What is typed of terms. */
export function RepeatBoxes({ draft, wrong, onChange, alone = false }: BoxesProps) {
  const box = (field: RepeatField, extra?: object) => (
    <input
      className="in"
      id={repeatId(field)}
      value={draft[field]}
      autoComplete="off"
      aria-invalid={wrong?.field === field ? true : undefined}
      aria-describedby={`${repeatId(field)}-hint`}
      onChange={(event) => onChange({ ...draft, [field]: event.target.value })}
      {...extra}
    />
  );
  return (
    <>
      <div className="three">
        <Labeled field="start" label="Next payment on" hint="" wrong={wrong}>
          {box("start", { type: "date" })}
        </Labeled>
        <Labeled field="every" label="Then every" hint="" wrong={wrong}>
          {box("every", { inputMode: "numeric" })}
        </Labeled>
        <Labeled field="unit" label="Unit" hint="" wrong={wrong}>
          <select
            className="in"
            id={repeatId("unit")}
            value={draft.unit}
            onChange={(event) => onChange({ ...draft, unit: event.target.value as Unit })}
          >
            {Object.entries(UNITS).map(([unit, { many }]) => (
              <option key={unit} value={unit}>
                {many}
              </option>
            ))}
          </select>
        </Labeled>
      </div>
      <div className="three">
        <Labeled field="count" label="How many" hint="Empty: until it is stopped" wrong={wrong}>
          {box("count", { inputMode: "numeric" })}
        </Labeled>
        <Labeled field="amount" label="Amount of each" hint={alone ? "" : "Empty: as this one"} wrong={wrong}>
          {box("amount", { inputMode: "decimal", placeholder: "0.00" })}
        </Labeled>
        {!alone && (
          <Labeled field="contact" label="E-mail or phone" hint="For reminders and receipts" wrong={wrong}>
            {box("contact", { spellCheck: false })}
          </Labeled>
        )}
      </div>
    </>
  );
}

type LabeledProps = {
  field: RepeatField;
  label: string;
  hint: string;
  wrong: Props["wrong"];
  children: ReactNode;
};

function Labeled({ field, label, hint, wrong, children }: LabeledProps) {
  const error = wrong?.field === field ? wrong.error : null;
  return (
    <div className="fieldset">
      <label htmlFor={repeatId(field)}>{label}</label>
      {children}
      <span className={`xs ${error === null ? "dim" : "bad"}`} id={`${repeatId(field)}-hint`}>
        {error === null ? (
          hint
        ) : (
          <>
            <Icon name="alert" /> {error}
          </>
        )}
      </span>
    </div>
  );
}

/** What the agent reads to the caller. */
export function PreviewSay({ preview, from }: { preview: Preview; from?: string }) {
  if (preview === null) return null;
  if ("error" in preview) {
    return (
      <p className="note" role="status">
        <Icon name="alert" />
        <span>{preview.error}</span>
      </p>
    );
  }
  return <Say words={previewWords(preview.view, from)} />;
}
