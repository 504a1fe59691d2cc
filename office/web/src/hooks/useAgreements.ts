import { useCallback, useEffect, useRef, useState } from "react";
import {
  type AgreementDeed,
  type Answer,
  agreementOf,
  changeAgreement,
  listAgreements,
} from "../state/api.ts";
import { Keys } from "../state/keys.ts";
import { problemWords, surelyNotDone } from "../view/problems.ts";
import type { AgreementDetail, AgreementView } from "../wire.ts";

/** The calendar is read again this often: payments are taken while somebody looks. */
const EVERY_MS = 5_000;
/** The console is asked when the typing has paused. */
const TYPING_MS = 250;

type Failed = (answer: Extract<Answer<unknown>, { ok: false }>) => void;

/** The agreements of an account, or the newest, and the one that is looked at. */
export function useAgreements(onSignedOut: () => void) {
  const [error, setError] = useState<string | null>(null);
  const failed = useCallback<Failed>(
    (answer) => {
      if (answer.problem?.status === 401) onSignedOut();
      setError(problemWords(answer));
    },
    [onSignedOut],
  );
  const all = useList(failed);
  const one = useDetail(failed);

  const change = async (deed: AgreementDeed, body: unknown): Promise<boolean> => {
    setError(null);
    const done = await one.change(deed, body);
    if (done) await all.read();
    return done;
  };
  return { ...all, ...one, error, failed, change };
}

function useList(failed: Failed) {
  const [account, setAccount] = useState("");
  const [list, setList] = useState<AgreementView[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);

  const read = useCallback(async () => {
    const answer = await listAgreements(account, null);
    if (!answer.ok) return failed(answer);
    setList(answer.value.agreements);
    setCursor(answer.value.next_cursor);
  }, [account, failed]);

  const more = async () => {
    const answer = await listAgreements(account, cursor);
    if (!answer.ok) return failed(answer);
    setList([...(list ?? []), ...answer.value.agreements]);
    setCursor(answer.value.next_cursor);
  };

  useEffect(() => {
    const timer = setTimeout(read, TYPING_MS);
    return () => clearTimeout(timer);
  }, [read]);
  return { account, setAccount, list, read, more: cursor === null ? null : more };
}

function useDetail(failed: Failed) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [detail, setDetail] = useState<AgreementDetail | null>(null);
  const [busy, setBusy] = useState(false);
  const keys = useRef(new Keys());

  useEffect(() => {
    if (chosen === null) return setDetail(null);
    let here = true;
    const look = async () => {
      const answer = await agreementOf(chosen);
      if (!here) return;
      if (answer.ok) setDetail(answer.value);
      else failed(answer);
    };
    void look();
    const timer = setInterval(look, EVERY_MS);
    return () => {
      here = false;
      clearInterval(timer);
    };
  }, [chosen, failed]);

  /** A press is one deed: its key is kept until an answer came. */
  const change = async (deed: AgreementDeed, body: unknown): Promise<boolean> => {
    if (detail === null || busy) return false;
    setBusy(true);
    const name = `${detail.id} ${deed} ${JSON.stringify(body)}`;
    const answer = await changeAgreement(detail.id, deed, body, keys.current.of(name));
    if (answer.ok || surelyNotDone(answer)) keys.current.answered(name);
    setBusy(false);
    if (answer.ok) setDetail(answer.value);
    else failed(answer);
    return answer.ok;
  };
  return { setChosen, detail, busy, change };
}
