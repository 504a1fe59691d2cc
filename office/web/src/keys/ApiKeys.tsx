import { useCallback, useEffect, useState } from "react";
import { Chip, Frame, Note, type PageProps, Scroller } from "../money/Frame.tsx";
import { useDeed } from "../money/useDeed.ts";
import { Box } from "../parts/Box.tsx";
import { Button } from "../parts/Button.tsx";
import { type ApiKey, apiKeys as ask, revoke as end } from "./api.ts";

/** Which programs may act for whom, and the end of it. */
export function ApiKeys(props: PageProps) {
  const [keys, setKeys] = useState<ApiKey[] | null>(null);
  const [asked, setAsked] = useState<ApiKey | null>(null);
  const { told, busy, fail, run } = useDeed(props.onSignedOut);

  const load = useCallback(async () => {
    const answer = await ask();
    if (answer.ok) setKeys(answer.value.api_keys);
    else fail(answer);
  }, [fail]);
  useEffect(() => void load(), [load]);

  const revoke = async ({ id, name, user }: ApiKey) => {
    setAsked(null);
    await run(
      `revoke ${id}`,
      () => end(id),
      () => `${name} of ${user} is revoked. What it had open has ended.`,
    );
    await load();
  };
  return (
    <Frame {...props} at="/api-keys" title="API keys">
      <Note told={told} />
      <section className="card" aria-labelledby="keys">
        <header>
          <h2 id="keys">Programs that act for somebody</h2>
        </header>
        {keys === null || keys.length === 0 ? (
          <p className="pad sm mut">{keys === null ? "Looking…" : "None yet."}</p>
        ) : (
          <Table keys={keys} busy={busy} onRevoke={setAsked} />
        )}
        <p className="pad sm mut">
          A key is made on the server, and shown there once: <code>tonewall user key --email … --name …</code>
          . It may do what its person may.
        </p>
      </section>
      {asked !== null && (
        <Box title={`Revoke ${asked.name} of ${asked.user}?`} urgent onClose={() => setAsked(null)}>
          <p>
            {asked.last_used_at === null
              ? "No use of it is known."
              : `It was last used ${when(asked.last_used_at)}.`}{" "}
            Its program is refused from now on, and what it has open ends. It cannot be made good again:
            another key takes its place.
          </p>
          <div className="row wrap">
            <Button look="pri" onPress={() => setAsked(null)}>
              Keep it
            </Button>
            <Button look="danger" onPress={() => void revoke(asked)}>
              Revoke it
            </Button>
          </div>
        </Box>
      )}
    </Frame>
  );
}

/** Keys live for years. */
const when = (at: string): string =>
  new Date(at).toLocaleString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  });

type TableProps = { keys: ApiKey[]; busy: boolean; onRevoke: (key: ApiKey) => void };

function Table({ keys, busy, onRevoke }: TableProps) {
  return (
    <Scroller label="API keys">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Acts for</th>
            <th scope="col">Made</th>
            <th scope="col">Last used</th>
            <th scope="col">State</th>
            <th scope="col">
              <span className="vh">Revoke</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id}>
              <td className="mono b">{key.name}</td>
              <td>{key.user}</td>
              <td className="nw">{when(key.created_at)}</td>
              <td className="nw">{key.last_used_at === null ? "none known" : when(key.last_used_at)}</td>
              <td>
                <State of={key} />
              </td>
              <td className="num">
                {key.revoked_at === null && (
                  <Button look="s" busy={busy} onPress={() => onRevoke(key)}>
                    Revoke
                    <span className="vh">
                      {" "}
                      {key.name} of {key.user}
                    </span>
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}

function State({ of: { revoked_at, revoked_by } }: { of: ApiKey }) {
  if (revoked_at === null) return <Chip tone="ok" icon="check" words="Good" />;
  const by = revoked_by === "system" ? "on the server" : `by ${revoked_by}`;
  return (
    <>
      <Chip tone="" icon="x" words="Revoked" />{" "}
      <span className="sm mut">
        {when(revoked_at)}, {by}
      </span>
    </>
  );
}
