/**
 * The console's pages, in the order of the menu.
 * @module
 */

import type { FunctionComponent } from "preact";
import type { Who } from "./api.ts";
import { Approvals } from "./pages/approvals.tsx";
import { Audit } from "./pages/audit.tsx";
import { Budgets } from "./pages/budgets.tsx";
import { Capabilities } from "./pages/capabilities.tsx";
import { Checkpoints } from "./pages/checkpoints.tsx";
import { DecidedPage } from "./pages/decided.tsx";
import { Effects } from "./pages/effects.tsx";
import { Fleet } from "./pages/fleet.tsx";
import { Images } from "./pages/images.tsx";
import { Objects } from "./pages/objects.tsx";
import { Overview } from "./pages/overview.tsx";
import { ProcessPage } from "./pages/process.tsx";
import { ProcessList } from "./pages/processes.tsx";
import { Tokens } from "./pages/tokens.tsx";
import { Tools } from "./pages/tools.tsx";
import type { Place } from "./route.ts";

/** What every page is given. */
export interface PageProps {
  readonly place: Place;
  readonly who: Who;
}

/** A page. */
export interface PageEntry {
  /** Its address, or the beginning of it. */
  readonly path: string;
  /** In the menu; null for pages that only links lead to. */
  readonly name: string | null;
  /** Keys that lead to it. */
  readonly keys: string;
  readonly page: FunctionComponent<PageProps>;
}

/** Every page. */
export const PAGES: readonly PageEntry[] = [
  { path: "/", name: "Overview", keys: "g o", page: Overview },
  { path: "/view/processes", name: "Processes", keys: "g p", page: ProcessList },
  { path: "/approvals", name: "Approvals", keys: "g a", page: Approvals },
  { path: "/approvals/decided", name: "Decided", keys: "g h", page: DecidedPage },
  { path: "/p", name: null, keys: "", page: ProcessPage },
  { path: "/view/capabilities", name: "Capabilities", keys: "g c", page: Capabilities },
  { path: "/view/objects", name: "Objects", keys: "g m", page: Objects },
  { path: "/view/tools", name: "Tools", keys: "g t", page: Tools },
  { path: "/view/images", name: "Images", keys: "g i", page: Images },
  { path: "/view/checkpoints", name: "Checkpoints", keys: "g k", page: Checkpoints },
  { path: "/view/audit", name: "Audit and replay", keys: "g e", page: Audit },
  { path: "/view/budgets", name: "Budgets", keys: "g b", page: Budgets },
  { path: "/view/effects", name: "Effects in doubt", keys: "g d", page: Effects },
  { path: "/view/fleet", name: "Fleet", keys: "g n", page: Fleet },
  { path: "/view/tokens", name: "Tokens", keys: "g y", page: Tokens },
];

/** The page at a place: the longest address that it begins with. */
export function pageAt({ path }: Place): PageEntry {
  const whole = `/${path.join("/")}`;
  const fits = PAGES.filter(({ path }) =>
    path === whole || (path !== "/" && whole.startsWith(`${path}/`))
  );
  return fits.sort((a, b) => b.path.length - a.path.length)[0] ?? PAGES[0]!;
}
