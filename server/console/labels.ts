/**
 * Labels as people type them: `team=a, env=test`.
 * @module
 */

/** Labels as text. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(", ");
}

/** Labels from text. Throws where one is not `k=v`. */
export function labelsOf(text: string): Record<string, string> {
  const pairs = text.split(/[,\n]/).map((pair) => pair.trim()).filter((pair) => pair !== "");
  return Object.fromEntries(pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new Error(`Cannot read label "${pair}": expected k=v`);
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  }));
}
