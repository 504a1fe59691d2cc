import type { Deeds } from "../hooks/useDeeds.ts";
import type { OrderDraft } from "../hooks/useOrder.ts";
import { type Acts, onOffer } from "../state/acts.ts";
import { type DeskState, presentCalls } from "../state/desk.ts";
import type { Panel } from "../view/deeds.ts";
import type { LineView } from "../view/line.ts";
import { recorderNote } from "../view/recorders.ts";
import { script } from "../view/script.ts";
import type { CallView, PaymentView } from "../wire.ts";
import { Button } from "./Button.tsx";
import { FieldCard } from "./FieldCard.tsx";
import { Icon } from "./Icon.tsx";
import { Banner, LineBand, RecorderBanner } from "./LineBand.tsx";
import { CanceledNote, OrderForm } from "./OrderForm.tsx";
import { Outcome } from "./Outcome.tsx";
import { Say } from "./Say.tsx";
import { CallSwitch, Who } from "./Who.tsx";

type Props = {
  state: DeskState;
  call: CallView;
  line: LineView;
  payment: PaymentView | null;
  panel: Panel;
  done: string | null;
  order: OrderDraft;
  deeds: Deeds;
  acts: Acts;
  onPutAway: (payment: string) => void;
  onChoose: (call: string) => void;
  onReconnect: () => void;
};

/** Everything about the call on the screen, from the caller's name down to the one card of its state. */
export function CallPanel(props: Props) {
  const { state, call, line, payment, panel, order, deeds, acts } = props;
  const amount = panel === "order" ? order.amount : (payment?.amount ?? null);
  const words =
    panel === "outcome" || line.look === "stale"
      ? null
      : script(call, panel === "order" ? null : payment, amount);
  const note = recorderNote(call);
  const lineBusy = deeds.busy.has("secure") || deeds.busy.has("release") || deeds.busy.has("start");
  return (
    <>
      <CallSwitch calls={presentCalls(state)} current={call.call} onChoose={props.onChoose} />
      <Who call={call} />
      <LineBand
        view={line}
        provedAt={state.proofs[call.call] ?? null}
        busy={lineBusy}
        onDeed={(deed) => void acts[deed]()}
      />
      {note && line.look !== "stale" && (
        <RecorderBanner
          note={note}
          busy={deeds.busy.has("recorders")}
          onAgain={() => void acts.pauseRecorders()}
        />
      )}
      {line.banner && <Banner banner={line.banner} onRetry={props.onReconnect} />}
      {deeds.error && <ErrorNote words={deeds.error} onAway={deeds.forget} />}
      {words && <Say words={words} />}
      <PanelCard {...props} />
    </>
  );
}

function PanelCard({ call, line, payment, panel, done, order, deeds, acts, onPutAway }: Props) {
  switch (panel) {
    case "ringing":
      return null;
    case "order":
      return (
        <>
          {payment?.state === "cancelled" && payment.id !== done && (
            <CanceledNote onAway={() => onPutAway(payment.id)} />
          )}
          <OrderForm
            draft={order.draft}
            currencies={order.currencies}
            errors={order.errors}
            quote={order.quote}
            accepted={order.accepted}
            repeat={order.repeat}
            line={call.line}
            mayKeep={order.mayKeep}
            busy={deeds.busy.has("start")}
            onChange={order.change}
            onAccept={order.accept}
            onLeave={order.leave}
            onStart={() => void acts.start()}
          />
        </>
      );
    case "payment":
      return (
        payment && (
          <FieldCard
            call={call}
            payment={payment}
            stale={line.look === "stale"}
            busy={{
              take: deeds.busy.has("take"),
              cancel: deeds.busy.has("cancel"),
              field: deeds.busy.has("field"),
            }}
            onField={(field, deed) => void acts.field(field, deed)}
            onTake={() => void acts.take()}
            onCancel={() => void acts.cancel()}
          />
        )
      );
    case "outcome":
      return (
        payment && (
          <Outcome payment={payment} busy={deeds.busy.size > 0} onOffer={(offer) => onOffer(acts, offer)} />
        )
      );
  }
}

function ErrorNote({ words, onAway }: { words: string; onAway: () => void }) {
  return (
    <div className="note bad" data-error>
      <Icon name="alert" />
      <div className="grow">{words}</div>
      <Button look="s" onPress={onAway}>
        OK
      </Button>
    </div>
  );
}
