import type { CallView } from "../wire.ts";
import { Icon } from "./Icon.tsx";

const STATES = {
  awaited: "Awaited",
  self_service: "Paying alone",
  ringing: "Ringing",
  talking: "On this call",
  held: "On hold",
};

const WAYS = {
  code: "transferred by you",
  pin: "transferred by you",
  bounced: "sent to pay alone",
  conference: "a conference",
};

export function Who({ call }: { call: CallView }) {
  const seconds = Math.max(0, Math.floor((Date.now() - call.started_unix_ms) / 1_000));
  return (
    <div className="who">
      <h2>
        <bdi>{callerName(call)}</bdi>
      </h2>
      <div className="facts">
        <span>
          <Icon name="phone" />
          {call.way !== "inline" ? (
            WAYS[call.way]
          ) : (
            <>
              called <bdi dir="ltr">{call.called}</bdi>
            </>
          )}
        </span>
        <span>
          <Icon name="clock" />
          {duration(seconds)} · {STATES[call.state]}
        </span>
        {call.keys_cross_pbx && (
          <span>
            <Icon name="info" />
            the keys pass through your phone system
          </span>
        )}
      </div>
    </div>
  );
}

export const callerName = (call: CallView): string => (call.caller === "" ? "Number withheld" : call.caller);

export function duration(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3_600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours === 0 ? rest : `${hours}:${rest}`;
}

type SwitchProps = { calls: CallView[]; current: string; onChoose: (call: string) => void };

/** Only when there is more than one call. */
export function CallSwitch({ calls, current, onChoose }: SwitchProps) {
  if (calls.length < 2) return null;
  return (
    <fieldset className="seg">
      <legend className="vh">Calls</legend>
      {calls.map((call) => (
        <button
          key={call.call}
          type="button"
          aria-pressed={call.call === current}
          onClick={() => onChoose(call.call)}
        >
          {callerName(call)}
        </button>
      ))}
    </fieldset>
  );
}
