import { useEffect, useMemo, useState } from "react";
import { useAnnouncer } from "./hooks/useAnnouncer.ts";
import { useDeeds } from "./hooks/useDeeds.ts";
import { useDesk } from "./hooks/useDesk.ts";
import { useFocusRescue } from "./hooks/useFocusRescue.ts";
import { useOrder } from "./hooks/useOrder.ts";
import { useShortcuts } from "./hooks/useShortcuts.ts";
import { useSwitch } from "./hooks/useSwitch.ts";
import { ConfirmBox, type Question, ShortcutBox } from "./parts/Boxes.tsx";
import { CallPanel } from "./parts/CallPanel.tsx";
import { EndedNote } from "./parts/EndedNote.tsx";
import { IdlePanel } from "./parts/Idle.tsx";
import { Live } from "./parts/Live.tsx";
import { type ChipState, Shell, TopBar } from "./parts/Shell.tsx";
import { Side } from "./parts/Side.tsx";
import { acts } from "./state/acts.ts";
import { type DeskState, paymentOf } from "./state/desk.ts";
import type { Sight } from "./state/freshness.ts";
import { panelOf } from "./view/deeds.ts";
import { endedView } from "./view/ended.ts";
import type { LineView } from "./view/line.ts";
import type { Session } from "./wire.ts";

type Props = { session: Session; onSignedOut: () => void; onSignOut: () => void };

export function Desk({ session, onSignedOut, onSignOut }: Props) {
  const { state, dispatch, link, call, line, reconnect } = useDesk(onSignedOut);
  const deeds = useDeeds(dispatch, onSignedOut);
  const order = useOrder(call?.call ?? null, session);
  const [done, setDone] = useState<string | null>(null);
  const [question, setQuestion] = useState<Question | null>(null);
  const [help, setHelp] = useState(false);
  const shortcuts = useSwitch("tonewall.shortcuts", true);
  const payment = call === null ? null : paymentOf(state, call);
  const panel = call === null ? null : panelOf(call, payment, done);
  const ended = endedOf(state);

  const stale = line?.look === "stale";
  const moment = useMemo(
    () => ({ call, payment, stale, ended: ended.words }),
    [call, payment, stale, ended.words],
  );
  const { loud, quiet, sayLoudly, sayQuietly } = useAnnouncer(moment);
  useFocusRescue();
  useEffect(() => {
    if (deeds.error !== null) sayQuietly(deeds.error);
  }, [deeds.error, sayQuietly]);

  const all = acts({
    call,
    payment,
    panel,
    line,
    deeds,
    order,
    ask: setQuestion,
    putAway: setDone,
    help: () => setHelp(true),
    read: sayLoudly,
  });
  useShortcuts(shortcuts.on && question === null && !help, all.shortcut);

  const answer = (asked: Question) => {
    setQuestion(null);
    void all[asked](true);
  };
  return (
    <>
      <Shell user={session.user}>
        <TopBar
          user={session.user}
          chip={chipOf(state, link, line)}
          call={call}
          onHelp={() => setHelp(true)}
          onSignOut={onSignOut}
        />
        <div className="cols">
          <main className="main" id="main" data-panel={panel ?? "idle"}>
            {state.ended && (call === null || ended.open) && (
              <EndedNote
                ended={state.ended}
                payment={ended.payment}
                onAway={() => dispatch({ type: "dismiss" })}
              />
            )}
            {call !== null && line !== null && panel !== null ? (
              <CallPanel
                {...{ state, call, line, payment, panel, done, order, deeds }}
                acts={all}
                onPutAway={setDone}
                onChoose={(id) => dispatch({ type: "choose", call: id })}
                onReconnect={reconnect}
              />
            ) : (
              <IdlePanel {...{ state, link, onSignedOut }} last={ended.id} onReconnect={reconnect} />
            )}
          </main>
          <Side rows={call?.timeline ?? state.ended?.call.timeline ?? null} />
        </div>
      </Shell>
      <Live loud={loud} quiet={quiet} />
      {help && <ShortcutBox on={shortcuts.on} onSwitch={shortcuts.set} onClose={() => setHelp(false)} />}
      {question && (
        <ConfirmBox question={question} onYes={() => answer(question)} onNo={() => setQuestion(null)} />
      )}
    </>
  );
}

/** The call that ended last, with its payment as it stands by now; `open` while its money is not settled. */
function endedOf({ ended, payments }: DeskState) {
  const payment = (ended?.payment && payments[ended.payment]) || null;
  const view = ended === null ? null : endedView(ended, payment);
  return {
    id: ended?.call.call ?? null,
    payment,
    open: view?.tone === "warn",
    words: view === null ? null : `${view.title} ${view.rest}`,
  };
}

function chipOf(state: DeskState, link: Sight, line: LineView | null): ChipState {
  if (state.link.status !== "live") return state.link.status;
  if (!link.holds) return "lost";
  if (state.door === "down") return "door";
  return line?.look === "stale" ? "stale" : "live";
}
