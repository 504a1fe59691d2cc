import { useRef, useState } from "react";
import { makeLink } from "../state/api.ts";
import { Keys } from "../state/keys.ts";
import { surelyNotDone } from "../view/problems.ts";
import { longDay } from "../view/repeat.ts";
import type { LinkView } from "../wire.ts";
import type { Change, Failed } from "./AgreementCard.tsx";
import { Box } from "./Box.tsx";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";

type Props = { id: string; busy: boolean; onChange: Change; onFailed: Failed };

/** The customer's own calendar: a link to be given to them, which can be taken back. */
export function CustomerLink({ id, busy, onChange, onFailed }: Props) {
  const [link, setLink] = useState<LinkView | null>(null);
  const [told, setTold] = useState("");
  const [asks, setAsks] = useState(false);
  const keys = useRef(new Keys());
  const url = link === null ? "" : (link.url ?? `${window.location.origin}${link.path}`);

  const make = async () => {
    const answer = await makeLink(id, keys.current.of(id));
    if (answer.ok || surelyNotDone(answer)) keys.current.answered(id);
    if (!answer.ok) return onFailed(answer);
    setLink(answer.value);
    setTold("");
  };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(url);
      setTold("Copied.");
    } catch {
      setTold("This browser does not let the page copy: select it and copy it yourself.");
    }
  };
  const takeBack = async () => {
    setAsks(false);
    if (!(await onChange("link/take-back", {}))) return;
    setLink(null);
    setTold("No link to this calendar is valid any more.");
  };
  return (
    <section className="card" aria-labelledby="own-calendar">
      <header>
        <h2 id="own-calendar">The customer’s own calendar</h2>
        <div className="row wrap">
          <Button look="s" onPress={() => void make()}>
            Make a link
          </Button>
          <Button look="s" busy={busy} onPress={() => setAsks(true)}>
            Take back all links
          </Button>
        </div>
      </header>
      <div className="pad stack">
        <p className="sm mut">
          Whoever has a link sees these payments and the last four digits of the card, and can change nothing.
        </p>
        {link !== null && <Shown url={url} until={link.valid_until} onCopy={() => void copy()} />}
        <p className="sm" role="status">
          {told}
        </p>
      </div>
      {asks && <AskBox onNo={() => setAsks(false)} onYes={() => void takeBack()} />}
    </section>
  );
}

function Shown({ url, until, onCopy }: { url: string; until: string; onCopy: () => void }) {
  return (
    <div className="fieldset">
      <label htmlFor="customer-link">Link, valid until {longDay(until.slice(0, 10))}</label>
      <input
        className="in mono"
        id="customer-link"
        readOnly
        value={url}
        onFocus={(event) => event.target.select()}
      />
      <div className="row wrap">
        <Button look="s" onPress={onCopy}>
          Copy
        </Button>
      </div>
    </div>
  );
}

function AskBox({ onNo, onYes }: { onNo: () => void; onYes: () => void }) {
  return (
    <Box title="Take back all links of this customer?" urgent onClose={onNo}>
      <p className="row">
        <Icon name="alert" />
        <span>Links in texts that the customer has got do not work any more either.</span>
      </p>
      <div className="row wrap">
        <Button look="pri" onPress={onNo}>
          Keep them
        </Button>
        <Button look="danger" onPress={onYes}>
          Take them back
        </Button>
      </div>
    </Box>
  );
}
