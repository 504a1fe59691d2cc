import { type ComponentProps, type FormEvent, type ReactNode, useId } from "react";
import { PANEL_HEADING } from "../hooks/useFocusRescue.ts";
import type { Draft, DraftField, Keep } from "../view/draft.ts";
import { surchargeWords } from "../view/surcharge.ts";
import type { LineState, Quote } from "../wire.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";
import { RepeatPart } from "./RepeatPart.tsx";

type Props = {
  draft: Draft;
  currencies: string[];
  errors: Partial<Record<DraftField, string>>;
  /** A surcharge to tell the caller of. */
  quote: Quote | null;
  accepted: boolean;
  /** Further payments; null where the agent may not agree on any. */
  repeat: ComponentProps<typeof RepeatPart> | null;
  line: LineState;
  busy: boolean;
  /** May this agent have cards kept? */
  mayKeep: boolean;
  onChange: (draft: Draft) => void;
  onAccept: (accepts: boolean) => void;
  onLeave: (field: DraftField) => void;
  onStart: () => void;
};

/** The id of a box, so that the first wrong one can be focused. */
export const boxId = (field: DraftField): string => `order-${field}`;

/** The id of the tick that a surcharge needs. */
export const ACCEPT_ID = "order-accepted";

/** What is being paid. There is no box for card details here or anywhere. */
export function OrderForm(props: Props) {
  const { draft, errors, line, busy, onChange, onLeave, onStart } = props;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onStart();
  };
  const set = (part: Partial<Draft>) => onChange({ ...draft, ...part });
  const text = (field: DraftField, extra?: object) => ({
    id: boxId(field),
    value: draft[field],
    autoComplete: "off",
    "aria-invalid": errors[field] === undefined ? undefined : true,
    "aria-describedby": `${boxId(field)}-hint`,
    onChange: (event: { target: { value: string } }) => set({ [field]: event.target.value }),
    onBlur: () => onLeave(field),
    ...extra,
  });
  return (
    <section className="card" aria-labelledby={PANEL_HEADING}>
      <header>
        <h2 id={PANEL_HEADING} tabIndex={-1}>
          What is being paid?
        </h2>
      </header>
      <form className="pad stack" onSubmit={submit} noValidate>
        <div className="three">
          <Labeled field="amount" label="Amount" hint="Such as 186.40" error={errors.amount}>
            <input className="in" {...text("amount", amountBox(draft.keep === "only"))} />
          </Labeled>
          <Currency
            codes={props.currencies}
            value={draft.currency}
            onChange={(currency) => set({ currency })}
          />
          <Labeled field="account" label="Account number" optional hint="" error={errors.account}>
            <input className="in mono" {...text("account", { spellCheck: false })} />
          </Labeled>
        </div>
        <Labeled field="reference" label="Reference" optional hint="" error={errors.reference}>
          <input className="in" {...text("reference")} />
        </Labeled>
        {props.mayKeep && <KeepChoice value={draft.keep} onChange={(keep) => set({ keep })} />}
        {props.quote !== null && (
          <Surcharge quote={props.quote} accepted={props.accepted} onAccept={props.onAccept} />
        )}
        {props.repeat !== null && <RepeatPart {...props.repeat} />}
        <p className="note">
          <Icon name="info" />
          <span className="sm">Never type card details in any box: there is no box for them.</span>
        </p>
        <div className="row wrap">
          <button
            type="submit"
            className={`btn ${line === "secured" || line === "conference" ? "pri" : ""}`}
            aria-disabled={busy || undefined}
          >
            {draft.keep === "only" ? "Start keeping the card" : "Start payment"}
          </button>
          <span className="sm mut">
            <StartHint line={line} />
          </span>
        </div>
      </form>
    </section>
  );
}

function StartHint({ line }: { line: LineState }) {
  if (line === "secured") return "The line is secured: the caller can key as soon as it is started.";
  if (line === "conference") return "The caller can key as soon as it is started, and you can hear the keys.";
  return (
    <>
      Or press <kbd>Alt S</kbd>: it starts the payment and secures the line.
    </>
  );
}

/** No amount is asked where nothing is taken. */
const amountBox = (off: boolean) => ({
  inputMode: "decimal",
  placeholder: "0.00",
  disabled: off,
  ...(off ? { value: "" } : {}),
});

type KeepProps = { value: Keep; onChange: (value: Keep) => void };

/** What is to become of the card. It is fixed before the bank is asked. */
function KeepChoice({ value, onChange }: KeepProps) {
  const id = useId();
  return (
    <div className="fieldset">
      <label htmlFor={id}>The card</label>
      <select
        className="in"
        id={id}
        value={value}
        onChange={(event) => onChange(event.target.value as Keep)}
        aria-describedby={`${id}-hint`}
      >
        <option value="none">is used once</option>
        <option value="token">is paid with and kept for later payments</option>
        <option value="only">is only kept: nothing is taken now</option>
      </select>
      <span className="xs dim" id={`${id}-hint`}>
        {value === "none" ? "" : "Ask the caller whether they agree to it, and say what it is kept for."}
      </span>
    </div>
  );
}

type SurchargeProps = { quote: Quote; accepted: boolean; onAccept: (accepts: boolean) => void };

function Surcharge({ quote, accepted, onAccept }: SurchargeProps) {
  const told = useId();
  return (
    <div className="stack">
      <p id={told}>{surchargeWords(quote)}</p>
      <label className="ck">
        <input
          id={ACCEPT_ID}
          type="checkbox"
          checked={accepted}
          aria-describedby={told}
          onChange={(event) => onAccept(event.target.checked)}
        />
        The caller accepts it. Without this the payment can’t be started.
      </label>
    </div>
  );
}

type LabeledProps = {
  field: DraftField;
  label: string;
  optional?: boolean;
  hint: string;
  error: string | undefined;
  children: ReactNode;
};

function Labeled({ field, label, optional = false, hint, error, children }: LabeledProps) {
  return (
    <div className="fieldset">
      <label htmlFor={boxId(field)}>
        {label} {optional && <span className="dim">(optional)</span>}
      </label>
      {children}
      <span className={`xs ${error === undefined ? "dim" : "bad"}`} id={`${boxId(field)}-hint`}>
        {error === undefined ? (
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

type CurrencyProps = { codes: string[]; value: string; onChange: (value: string) => void };

function Currency({ codes, value, onChange }: CurrencyProps) {
  const id = useId();
  return (
    <div className="fieldset">
      <label htmlFor={id}>Currency</label>
      <select className="in" id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {codes.map((code) => (
          <option key={code}>{code}</option>
        ))}
      </select>
    </div>
  );
}

/** For a payment that is about to replace another: what is on the screen until the amount is typed. */
export function CanceledNote({ onAway }: { onAway: () => void }) {
  return (
    <div className="note">
      <Icon name="info" />
      <div className="grow">
        <b>Payment canceled.</b> Nothing was taken. What was keyed is erased.
      </div>
      <Button look="s" onPress={onAway}>
        OK
      </Button>
    </div>
  );
}
