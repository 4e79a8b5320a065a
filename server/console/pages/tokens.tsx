/**
 * Tokens: who may speak to this server.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ROLES } from "../../principal.ts";
import { send } from "../api.ts";
import { Choice, Dialog, Form, may, TextField, useAct } from "../forms.tsx";
import { labelsOf, labelsText } from "../labels.ts";
import { Badge, Table } from "../lists.tsx";
import { useRead } from "../live.ts";
import type { PageProps } from "../pages.ts";
import { Age, Page, Problem } from "../parts.tsx";
import { spanOf, visible } from "../words.ts";

interface TokenView {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

/** The page. */
export function Tokens({ who }: PageProps): JSX.Element {
  const isAdmin = may(who, "admin");
  const { data, error, again } = useRead<{ readonly items: readonly TokenView[] }>(
    isAdmin ? "/v1/tokens" : null,
  );
  const [revoking, setRevoking] = useState<TokenView | undefined>();
  if (!isAdmin) {
    return (
      <Page title="Tokens">
        <p>Tokens are for role admin; you are signed in as {who.role}.</p>
      </Page>
    );
  }
  return (
    <Page title="Tokens">
      {error !== undefined && <Problem error={error} />}
      {data !== undefined && (
        <Table label="Tokens" heads={["Name", "Role", "Sees", "Made", "Ends", "Act"]}>
          {data.items.map((one) => (
            <tr key={one.id}>
              <td>
                {visible(one.name)} <span class="id dim">{visible(one.id)}</span>
              </td>
              <td>
                <Badge tone={one.role === "admin" ? "ask" : "calm"}>{one.role}</Badge>
              </td>
              <td>{visible(labelsText(one.labels)) || "all"}</td>
              <td>
                <Age at={one.createdAt} /> ago
              </td>
              <td>{endOf(one)}</td>
              <td>
                <button
                  type="button"
                  class="no"
                  aria-label={`Revoke ${visible(one.name)}`}
                  onClick={() => setRevoking(one)}
                >
                  Revoke
                </button>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <h2>Make a token</h2>
      <Make done={again} />
      {revoking !== undefined && (
        <RevokeToken
          token={revoking}
          close={() => setRevoking(undefined)}
          done={again}
        />
      )}
    </Page>
  );
}

function endOf({ expiresAt }: TokenView): string {
  if (expiresAt === null) return "never";
  const leftMs = Date.parse(expiresAt) - Date.now();
  return leftMs <= 0 ? "over" : `in ${spanOf(leftMs)}`;
}

const DAY_MS = 86_400_000;
const ENDS = [
  [String(DAY_MS / 3), "in 8 hours"],
  [String(DAY_MS), "in a day"],
  [String(30 * DAY_MS), "in 30 days"],
  ["", "never"],
] as const;

function Make({ done }: { readonly done: () => void }): JSX.Element {
  const act = useAct();
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [labels, setLabels] = useState("");
  const [forMs, setForMs] = useState<string>(ENDS[1][0]);
  const [secret, setSecret] = useState<string | undefined>();
  const make = async (): Promise<void> => {
    const made = await send<TokenView & { readonly secret: string }>("POST", "/v1/tokens", {
      name,
      role,
      ...(labels.trim() === "" ? {} : { labels: labelsOf(labels) }),
      ...(forMs === "" ? {} : { forMs: Number(forMs) }),
    });
    setSecret(made.secret);
    setName("");
    done();
  };
  return (
    <>
      <Form act={act} send={make} button="Make" disabled={name === ""}>
        <TextField name="Name" sample="ada" hint="The log says it" value={name} set={setName} />
        <Choice
          name="Role"
          value={role}
          set={setRole}
          hint="Viewers read; approvers answer; operators start, stop and grant; admins make tokens"
          options={ROLES.map((one) => [one, one])}
        />
        <TextField
          name="Sees only processes with labels"
          sample="team=a, env=test"
          value={labels}
          set={setLabels}
        />
        <Choice name="Ends" value={forMs} set={setForMs} options={ENDS} />
      </Form>
      {secret !== undefined && (
        <Dialog
          title="The token's secret"
          close={() => setSecret(undefined)}
        >
          <p>It is shown this once, and is kept nowhere: copy it now.</p>
          <pre class="block" tabIndex={0} role="region" aria-label="Secret">{secret}</pre>
          <div class="row">
            <button
              type="button"
              onClick={() => void globalThis.navigator.clipboard?.writeText(secret)}
            >
              Copy
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function RevokeToken({ token, close, done }: {
  readonly token: TokenView;
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const act = useAct();
  const revoke = async (): Promise<void> => {
    await send("DELETE", `/v1/tokens/${encodeURIComponent(token.id)}`);
    done();
    close();
  };
  return (
    <Dialog title={`Revoke the token of ${visible(token.name)}`} close={close}>
      <p>Whoever uses it is signed out at once, with every browser that it signed in.</p>
      <Form act={act} send={revoke} button="Revoke" tone="no">{null}</Form>
    </Dialog>
  );
}
