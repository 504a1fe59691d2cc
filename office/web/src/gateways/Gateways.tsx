import { type FormEvent, useCallback, useEffect, useState } from "react";
import { Frame, Note, type PageProps } from "../money/Frame.tsx";
import { useDeed } from "../money/useDeed.ts";
import { timeOf } from "../money/words.ts";
import { gateways as ask, type Credential, type Gateway, give, type Gateways as List } from "./api.ts";
import { seal } from "./seal.ts";

/** Which credentials the gateways have, and a place to give one: no value is ever shown, and none leaves the page unsealed. */
export function Gateways(props: PageProps) {
  const [list, setList] = useState<List | null>(null);
  const { told, setTold, busy, fail, run } = useDeed(props.onSignedOut);

  const load = useCallback(async () => {
    const answer = await ask();
    if (answer.ok) setList(answer.value);
    else fail(answer);
  }, [fail]);
  useEffect(() => void load(), [load]);

  const set = async (to: string, gateway: string, slot: string, secret: string) => {
    let sealed: string;
    try {
      sealed = await seal(to, gateway, slot, secret);
    } catch {
      const words =
        "This browser can’t seal here: that takes HTTPS (or 127.0.0.1) and a current browser. `tonewall credential seal` does the same.";
      return setTold({ tone: "bad", words });
    }
    await run(
      `${gateway} ${slot} ${sealed.slice(0, 64)}`,
      (key) => give(gateway, slot, sealed, key),
      () => `${gateway}: the ${SLOTS[slot] ?? slot} is set and used from now on.`,
    );
    await load();
  };
  return (
    <Frame {...props} at="/gateways" title="Gateways">
      <Note told={told} />
      {list === null && told === null && <p className="sm mut">Looking…</p>}
      {list?.gateways.map((gateway) => (
        <OfGateway
          key={gateway.name}
          gateway={gateway}
          to={list.seal_to}
          busy={busy}
          onGive={(slot, secret) => set(list.seal_to ?? "", gateway.name, slot, secret)}
        />
      ))}
      {list !== null && <SealedTo to={list.seal_to} />}
    </Frame>
  );
}

const SLOTS: Record<string, string> = { key: "key", webhook_key: "secret of webhooks" };
const NAMES: Record<string, string> = { key: "Key", webhook_key: "Secret of webhooks" };

function SealedTo({ to }: { to: string | null }) {
  return (
    <section className="card" aria-labelledby="sealed-to">
      <header>
        <h2 id="sealed-to">What credentials are sealed to</h2>
      </header>
      <div className="pad stack">
        {to === null ? (
          <p className="sm">The card side has no vault, so that it can open nothing. See docs/gateways.md.</p>
        ) : (
          <>
            <p className="mono sm sealed-to">{to.match(/.{1,8}/g)?.join(" ")}</p>
            <p className="sm mut">
              The card side’s public key. Before the first credential, compare it over another channel with
              what <code>tonewall vault address --tenant tonewall-credentials</code> prints there.
            </p>
          </>
        )}
      </div>
    </section>
  );
}

type OfGatewayProps = {
  gateway: Gateway;
  to: string | null;
  busy: boolean;
  onGive: (slot: string, secret: string) => Promise<void>;
};

function OfGateway({ gateway, to, busy, onGive }: OfGatewayProps) {
  const id = `gateway-${gateway.name}`;
  return (
    <section className="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>{gateway.name}</h2>
      </header>
      <div className="pad stack">
        {gateway.credentials.map((credential) => (
          <Slot
            key={credential.slot}
            gateway={gateway.name}
            credential={credential}
            mayGive={gateway.from_office && to !== null}
            busy={busy}
            onGive={(secret) => onGive(credential.slot, secret)}
          />
        ))}
        {!gateway.from_office && (
          <p className="xs mut">
            These stand in files or variables that cde.toml names. With <code>key_from_office = true</code>{" "}
            they are given here.
          </p>
        )}
      </div>
    </section>
  );
}

function standing({ source, set_at, set_by, fingerprint }: Credential): string {
  if (source === "none") return "not set";
  if (source !== "office") return `set in cde.toml (${source})`;
  const when = set_at === null ? "" : ` since ${timeOf(set_at)}`;
  const by = set_by === null ? "" : `, by ${set_by}`;
  return `set${when}${by}${fingerprint === null ? "" : `, fingerprint ${fingerprint}`}`;
}

type SlotProps = {
  gateway: string;
  credential: Credential;
  mayGive: boolean;
  busy: boolean;
  onGive: (secret: string) => Promise<void>;
};

/**
 * What is typed stands in the field alone and is gone as soon as it is sealed. It is covered, but no password to the browser, which
 * would offer to keep it.
 */
function Slot({ gateway, credential, mayGive, busy, onGive }: SlotProps) {
  const id = `give-${gateway}-${credential.slot}`;
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const field = event.currentTarget.elements.namedItem("secret");
    if (busy || !(field instanceof HTMLInputElement)) return;
    const secret = field.value.trim();
    field.value = "";
    if (secret !== "") await onGive(secret);
  }
  return (
    <form className="fieldset" onSubmit={submit} autoComplete="off">
      <label htmlFor={id}>
        {NAMES[credential.slot] ?? credential.slot}: <span className="mut">{standing(credential)}</span>
      </label>
      {mayGive && (
        <div className="given">
          <input
            className="in covered"
            id={id}
            name="secret"
            type="text"
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            data-1p-ignore="true"
            data-lpignore="true"
            aria-label={`New ${SLOTS[credential.slot] ?? credential.slot} of ${gateway}`}
          />
          <button className="btn pri" type="submit" aria-disabled={busy || undefined}>
            {credential.source === "office" ? "Replace" : "Set"}
            <span className="vh">
              {" "}
              {SLOTS[credential.slot] ?? credential.slot} of {gateway}
            </span>
          </button>
        </div>
      )}
    </form>
  );
}
