import type { Ended } from "../state/desk.ts";
import { endedView } from "../view/ended.ts";
import type { PaymentView } from "../wire.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";
import { callerName } from "./Who.tsx";

const ICONS = { "": "phone", ok: "check", bad: "x", warn: "clock" } as const;

type Props = { ended: Ended; payment: PaymentView | null; onAway: () => void };

export function EndedNote({ ended, payment, onAway }: Props) {
  const view = endedView(ended, payment);
  return (
    <section className={`note ${view.tone}`} aria-label="Ended call" data-ended={ended.end ?? "unseen"}>
      <Icon name={ICONS[view.tone]} />
      <div className="grow">
        <b>{view.title}</b> {view.rest}
        <div className="sm mut">{callerName(ended.call)}</div>
      </div>
      <Button look="s" onPress={onAway}>
        Done
      </Button>
    </section>
  );
}
