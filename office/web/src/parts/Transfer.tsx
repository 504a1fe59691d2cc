import { useEffect, useState } from "react";
import { askTransfer, transferWays } from "../state/api.ts";
import { problemWords } from "../view/problems.ts";
import type { CallView, TransferView } from "../wire.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";

type Props = { awaited: CallView | null; live: boolean; onSignedOut: () => void };

/** One button that has the caller of the moment transferred to a secured line, and where to transfer them to. */
export function Transfer({ awaited, live, onSignedOut }: Props) {
  const [busy, setBusy] = useState(false);
  const conferences = useConferences(live);
  const [given, setGiven] = useState<TransferView | null>(null);
  const [error, setError] = useState<string | null>(null);
  const ask = async (conference: boolean) => {
    setBusy(true);
    setError(null);
    const answer = await askTransfer(conference);
    setBusy(false);
    if (answer.ok) setGiven(answer.value);
    else if (answer.problem?.status === 401) onSignedOut();
    else setError(problemWords(answer));
  };
  // The code is kept nowhere but here, and is of no use once its call is not awaited any more.
  const shown = given !== null && given.call === awaited?.call ? given : null;
  return (
    <section className="card" aria-labelledby="transfer">
      <header>
        <h2 id="transfer">Secure a call</h2>
      </header>
      <div className="pad stack" aria-live="polite">
        {error !== null && (
          <div className="note bad" data-error>
            <Icon name="alert" />
            <div className="grow">{error}</div>
          </div>
        )}
        {shown !== null && <Code given={shown} conference={awaited?.way === "conference"} />}
        {awaited !== null && shown === null && (
          <p className="sm">
            A transfer is being waited for. Ask for a new code if you don’t have it any more.
          </p>
        )}
        {awaited === null && (
          <p className="sm mut">
            For a call on your phone: transfer the caller, and you are called back on a secured line.
          </p>
        )}
        <div className="row wrap">
          <Button look={awaited === null ? "pri" : ""} busy={busy} onPress={() => void ask(false)}>
            {awaited === null ? "Secure a call" : "New code"}
          </Button>
        </div>
        {conferences && (
          <div className="stack" data-conference>
            <p className="sm">
              Only if your phone can’t transfer: add the payment line to a conference.{" "}
              <b>It masks nothing: you can hear the keys.</b>
            </p>
            <div className="row wrap">
              <Button busy={busy} onPress={() => void ask(true)}>
                Use a conference
              </Button>
            </div>
          </div>
        )}
      </div>
    </section>
  );
}

/** Whether the file of the card side allows conferences; without an answer they are not offered. */
function useConferences(live: boolean): boolean {
  const [allowed, setAllowed] = useState(false);
  useEffect(() => {
    if (!live) return;
    let here = true;
    transferWays().then((answer) => {
      if (here && answer.ok) setAllowed(answer.value.conference);
    });
    return () => {
      here = false;
    };
  }, [live]);
  return allowed;
}

function Code({ given, conference }: { given: TransferView; conference: boolean }) {
  const until = new Date(given.expires_at).toLocaleTimeString("en-GB");
  return (
    <div className="stack" data-transfer={given.call}>
      <p className="sm">
        {conference
          ? "Call this on a second line, then merge the calls. You can hear the keys:"
          : "Transfer the caller now, without asking first, to:"}
      </p>
      {given.dial !== null && <p className="mono">{given.dial}</p>}
      <p className="mono">{given.transfer_to}</p>
      <p className="xs mut">
        Good once, until {until}.{!conference && " Your phone rings as soon as the caller is there."}
      </p>
    </div>
  );
}
