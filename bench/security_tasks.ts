/** @module */
export async function tasksPage(): Promise<string> {
  await Promise.resolve();
  return "";
}
